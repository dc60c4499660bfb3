"""The scenario as a Job in the cluster: built, started, followed, and removed."""

from __future__ import annotations

import argparse
import secrets
import time
from pathlib import Path
from typing import Any, Final

from hermes_client.scenario.option_rules import is_soak, kills_outside, kills_pod
from hermes_ctl.errors import EXIT_BROKEN_PROMISE, CtlError
from hermes_ctl.kube import Cluster, Json
from hermes_ctl.terminal import say
from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec, parse_mesh

START_TIMEOUT_S: Final = 120.0
JOB_TTL_S: Final = 600
POLL_S: Final = 0.5
TLS_DIR: Final = "/etc/hermes/tls"
ADMIN_DIR: Final = "/etc/hermes/admin"


def check_in_cluster(cluster: Cluster, options: argparse.Namespace) -> int:
    """Run the Job and show its log; with `--kill pod` (or kubectl), take a pod away once messages flow: --pod, or the first."""
    mesh = cluster.get_mesh(options.mesh)
    victim = choose_victim(mesh, options)
    manifest = build_job(mesh, options)
    name = manifest["metadata"]["name"]
    cluster.create_job(manifest)
    say(f"job {name} in namespace {cluster.namespace}")
    try:
        return _follow(cluster, name, victim, options.ready_file)
    finally:
        cluster.delete_job(name)


def choose_victim(mesh: Json, options: argparse.Namespace) -> str | None:
    """The pod that is to be taken away; CtlError when the one that was asked for is none of the mesh."""
    if not kills_pod(options):
        return None
    pods = parse_mesh(mesh).pods
    victim: str = options.pod or pods[0]
    if victim not in pods:
        raise CtlError(f"--pod {victim} is none of this mesh; choose one of {', '.join(pods)}")
    return victim


def build_job(mesh: Json, options: argparse.Namespace) -> Json:
    """A Job with the mesh's own image that reaches every node by its pod's name."""
    wanted = parse_mesh(mesh)
    hosts = [f"{pod}.{names.headless_service(wanted.name)}.{wanted.namespace}.svc" for pod in wanted.pods]
    command = ["python3", "-m", "hermes_client.scenario"]
    command += ["--addresses", ",".join(f"{host}:{names.APP_PORT}" for host in hosts)]
    command += ["--admin", ",".join(f"http://{host}:{names.ADMIN_PORT}" for host in hosts)]
    command += ["--admin-token-file", f"{ADMIN_DIR}/{names.TOKEN_KEY}", "--ca", f"{TLS_DIR}/{names.CA_CERT_KEY}"]
    command += ["--step-timeout", str(options.step_timeout)]
    if is_soak(options):
        command += ["--duration", str(options.duration), "--pairs", str(options.pairs), "--rate", str(options.rate)]
        command += ["--min-resumes", str(options.min_resumes)]
    else:
        command += ["--messages", str(options.messages), "--restart-timeout", str(options.restart_timeout)]
        if kills_outside(options) or kills_pod(options):
            command.append("--wait-for-kill")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{wanted.name}-check-{secrets.token_hex(3)}",
            "namespace": wanted.namespace,
            "labels": {**names.object_labels(wanted.name), "app.kubernetes.io/component": "check"},
        },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": JOB_TTL_S,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "hermes", "app.kubernetes.io/component": "check"}},
                "spec": _build_pod(wanted, command),
            },
        },
    }


def _build_pod(wanted: MeshSpec, command: list[str]) -> Json:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": name} for name in wanted.pod.image_pull_secrets],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "check",
                "image": wanted.pod.image,
                "imagePullPolicy": wanted.pod.image_pull_policy,
                "command": command,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "ca", "mountPath": TLS_DIR, "readOnly": True},
                    {"name": "admin", "mountPath": ADMIN_DIR, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            _secret_volume("ca", names.tls_secret(wanted.name), names.CA_CERT_KEY),
            _secret_volume("admin", names.admin_secret(wanted.name), names.TOKEN_KEY),
        ],
    }


def _secret_volume(name: str, secret: str, key: str) -> Json:
    """Only the one key: the Job must not see the nodes' private keys."""
    return {"name": name, "secret": {"secretName": secret, "items": [{"key": key, "path": key}]}}


def _follow(cluster: Cluster, job: str, victim: str | None, ready_file: Path | None) -> int:
    pod = _wait_started(cluster, job)
    for line in _lines(cluster.follow_log(pod)):
        say(line)
        if line.startswith("READY") and ready_file is not None:
            ready_file.write_text("ready\n")
        if line.startswith("READY") and victim is not None:
            cluster.delete_pod(victim)
            say(f"took {victim} away")
            victim = None
    return _read_exit_code(cluster, job)


def _wait_started(cluster: Cluster, job: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        for pod in cluster.list_job_pods(job):
            if pod.status.phase in ("Running", "Succeeded", "Failed"):
                name: str = pod.metadata.name
                return name
        time.sleep(POLL_S)
    raise CtlError(f"the pod of job {job} did not start in {START_TIMEOUT_S:.0f} s; see: kubectl describe job {job}")


def _lines(log: Any) -> Any:
    buffer = b""
    for chunk in log.stream():
        *lines, buffer = (buffer + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if buffer:
        yield buffer.decode(errors="replace")


def _read_exit_code(cluster: Cluster, job: str) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        for pod in cluster.list_job_pods(job):
            for status in pod.status.container_statuses or ():
                if status.state.terminated is not None:
                    code: int = status.state.terminated.exit_code
                    return code
        time.sleep(POLL_S)
    return EXIT_BROKEN_PROMISE
