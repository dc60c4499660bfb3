"""The proof that a cluster is usable: on every node the pinned version, and a pod that runs and resolves a service by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import HarnessError
from .versions import KUBERNETES_VERSION
from .wait import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .kubectl import Kubectl, Manifest

NAMESPACE = "default"
POD = "hermes-e2e-probe"
POD_S = 90.0
LOOKUP = ("getent", "hosts", "kubernetes.default")


def build_probe(node: str, number: int, image: str, lookup: Sequence[str]) -> Manifest:
    """Return a pod for one node that does one lookup after another until one succeeds, and then ends."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{POD}-{number}", "namespace": NAMESPACE},
        "spec": {
            "nodeName": node,
            "tolerations": [{"operator": "Exists"}],
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {"name": "probe", "image": image, "imagePullPolicy": "Never", "command": list(lookup)},
            ],
        },
    }


def prove_usable(kubectl: Kubectl, nodes: Sequence[str], image: str, lookup: Sequence[str]) -> None:
    """Run a probe on every node to success, and remove them; `image` has to be on the nodes already."""
    _require_version(kubectl)
    until(
        "the default service account",
        lambda: kubectl.get("serviceaccount", "-n", NAMESPACE, "default"),
        within_s=POD_S,
        cure="read kube-controller-manager.log",
    )
    probes = [build_probe(node, number, image, lookup) for number, node in enumerate(nodes)]
    kubectl.apply(*probes)
    for probe in probes:
        name, node = probe["metadata"]["name"], probe["spec"]["nodeName"]

        def succeeded(name: str = name) -> bool:
            pod = kubectl.get("pod", "-n", NAMESPACE, name) or {}
            return bool(pod.get("status", {}).get("phase") == "Succeeded")

        cure = f"kubectl describe pod -n {NAMESPACE} {name}; read the logs of kubelet, kube-proxy and CoreDNS"
        until(f"success of the probe pod on {node}", succeeded, within_s=POD_S, cure=cure, poll_s=0.3)
    names = [probe["metadata"]["name"] for probe in probes]
    kubectl.run("delete", "pod", "-n", NAMESPACE, *names, "--grace-period=0", "--force")


def other_versions(nodes: Sequence[Manifest], pinned: str) -> list[str]:
    """Return the nodes whose kubelet is not of the pinned version, each with what it has."""
    versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
    return [f"{name} has {version}" for name, version in versions.items() if version != pinned]


def _require_version(kubectl: Kubectl) -> None:
    """The API server's version and every kubelet's is the one that go.mod pins."""
    wrong = other_versions((kubectl.get("nodes") or {"items": []})["items"], KUBERNETES_VERSION)
    answer = kubectl.run("get", "--raw", "/version")
    if f'"{KUBERNETES_VERSION}"' not in answer:
        wrong.append(f"the API server has {answer}")
    if wrong:
        raise HarnessError(f"not {KUBERNETES_VERSION}: {', '.join(wrong)}", "delete the cached programs and the node image")
