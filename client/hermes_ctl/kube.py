"""The few things hermesctl asks of a Kubernetes API server, with errors a person can act on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kubernetes.client
import kubernetes.config
import kubernetes.stream
import urllib3.exceptions
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from hermes_ctl.errors import CtlError
from hermes_operator import names

REQUEST_TIMEOUT_S = 15
Json = dict[str, Any]
_config: Any = kubernetes.config  # its functions have no annotations
_stream: Any = kubernetes.stream.stream


def add_kube_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", help="namespace (default: the context's)")
    parser.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: $KUBECONFIG or ~/.kube/config)")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and the namespace the command works in."""

    api: kubernetes.client.ApiClient
    namespace: str

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Cluster:
        """Connect as kubectl would, or as a pod does when there is no kubeconfig."""
        try:
            api = _config.new_client_from_config(config_file=options.kubeconfig, context=options.context)
            namespace = options.namespace or _context_namespace(options)
        except ConfigException as error:
            if options.kubeconfig or options.context:
                raise CtlError(f"cannot use the kubeconfig: {error}") from None
            api, namespace = _in_pod_client(options, error)
        return cls(api, namespace)

    def list_meshes(self, *, all_namespaces: bool = False) -> list[Json]:
        custom = kubernetes.client.CustomObjectsApi(self.api)
        if all_namespaces:
            answer = self._call(custom.list_cluster_custom_object, names.GROUP, names.VERSION, names.PLURAL)
        else:
            answer = self._call(custom.list_namespaced_custom_object, names.GROUP, names.VERSION, self.namespace, names.PLURAL)
        items: list[Json] = answer["items"]
        return items

    def get_mesh(self, name: str) -> Json:
        custom = kubernetes.client.CustomObjectsApi(self.api)
        answer: Json = self._call(
            custom.get_namespaced_custom_object,
            names.GROUP,
            names.VERSION,
            self.namespace,
            names.PLURAL,
            name,
            what=f"HermesMesh {name} in namespace {self.namespace}",
        )
        return answer

    def annotate_mesh(self, name: str, annotations: dict[str, str]) -> Json:
        custom = kubernetes.client.CustomObjectsApi(self.api)
        answer: Json = self._call(
            custom.patch_namespaced_custom_object,
            names.GROUP,
            names.VERSION,
            self.namespace,
            names.PLURAL,
            name,
            {"metadata": {"annotations": annotations}},
            what=f"HermesMesh {name} in namespace {self.namespace}",
        )
        return answer

    def create_job(self, manifest: Json) -> None:
        batch = kubernetes.client.BatchV1Api(self.api)
        self._call(batch.create_namespaced_job, self.namespace, manifest)

    def delete_job(self, name: str) -> None:
        batch = kubernetes.client.BatchV1Api(self.api)
        self._call(batch.delete_namespaced_job, name, self.namespace, propagation_policy="Background")

    def list_job_pods(self, job: str) -> list[Any]:
        core = kubernetes.client.CoreV1Api(self.api)
        pods: list[Any] = self._call(
            core.list_namespaced_pod, self.namespace, label_selector=f"batch.kubernetes.io/job-name={job}"
        ).items
        return pods

    def follow_log(self, pod: str) -> Any:
        """The log of a pod as it grows: an urllib3 response that yields bytes, until the container ends."""
        core = kubernetes.client.CoreV1Api(self.api)
        try:
            return core.read_namespaced_pod_log(pod, self.namespace, follow=True, _preload_content=False)
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            raise _explain(error, f"log of {pod}", self.api) from None

    def delete_pod(self, name: str) -> None:
        """Take a pod away without grace."""
        core = kubernetes.client.CoreV1Api(self.api)
        self._call(core.delete_namespaced_pod, name, self.namespace, grace_period_seconds=0, what=f"pod {name}")

    def run_in_pod(self, pod: str, command: list[str]) -> Any:
        """What a command in a pod's first container printed, as JSON. CtlError with its last line when it printed none."""
        api = kubernetes.client.ApiClient(self.api.configuration)  # `stream` puts another transport into its client
        execute = kubernetes.client.CoreV1Api(api).connect_get_namespaced_pod_exec
        arguments = {"command": command, "stdout": True, "stderr": True, "stdin": False, "tty": False}
        try:
            running = _stream(execute, pod, self.namespace, _preload_content=False, **arguments)
            running.run_forever(timeout=REQUEST_TIMEOUT_S)
            printed, complained = running.read_stdout(), running.read_stderr()
            running.close()
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            raise _explain(error, f"pod {pod}", self.api) from None
        try:
            return json.loads(printed)
        except ValueError:
            lines = (complained or printed or "no answer in time").strip().splitlines()
            raise CtlError(lines[-1]) from None

    def _call(self, function: Callable[..., Any], *arguments: Any, what: str = "", **options: Any) -> Any:
        try:
            return function(*arguments, _request_timeout=REQUEST_TIMEOUT_S, **options)
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            raise _explain(error, what, self.api) from None


def _explain(error: Exception, what: str, api: kubernetes.client.ApiClient) -> CtlError:
    host = api.configuration.host
    if not isinstance(error, ApiException):
        return CtlError(f"cannot reach the API server at {host}; check the kubeconfig's context and the network")
    if error.status == 404 and what:
        return CtlError(f"there is no {what}; `hermesctl status -A` lists what there is")
    if error.status == 404:
        return CtlError(f"{host} does not know HermesMesh; install the operator: helm install hermes charts/hermes-operator")
    if error.status in (401, 403):
        return CtlError(f"{host} does not allow this ({error.reason}); use a context with the rights, or ask for them")
    return CtlError(f"{host} answered {error.status} {error.reason}")


def _context_namespace(options: argparse.Namespace) -> str:
    contexts, active = _config.list_kube_config_contexts(config_file=options.kubeconfig)
    chosen = next((context for context in contexts if context["name"] == options.context), active)
    namespace: str = chosen["context"].get("namespace", "default")
    return namespace


def _in_pod_client(options: argparse.Namespace, cause: ConfigException) -> tuple[kubernetes.client.ApiClient, str]:
    try:
        _config.load_incluster_config()
    except ConfigException:
        raise CtlError(f"no cluster to talk to: {cause}; set KUBECONFIG or give --kubeconfig") from None
    return kubernetes.client.ApiClient(), options.namespace or "default"
