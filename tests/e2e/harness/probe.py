"""The proof that a cluster is usable: a pod runs on it, and resolves a service by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .versions import BASE_IMAGE
from .wait import until

if TYPE_CHECKING:
    from .kubectl import Kubectl, Manifest

NAMESPACE = "default"
POD = "hermes-e2e-probe"
POD_S = 60.0
LOOKUP = ["getent", "hosts", "kubernetes.default"]


def build_probe() -> Manifest:
    """Return a pod that does one lookup after another until one succeeds, and then ends."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {"name": "probe", "image": BASE_IMAGE, "imagePullPolicy": "Never", "command": LOOKUP},
            ],
        },
    }


def prove_usable(kubectl: Kubectl) -> None:
    """Run the probe to success and remove it."""
    until(
        "the default service account",
        lambda: kubectl.get("serviceaccount", "-n", NAMESPACE, "default"),
        within_s=POD_S,
        cure="read kube-controller-manager.log",
    )
    kubectl.apply(build_probe())

    def succeeded() -> bool:
        pod = kubectl.get("pod", "-n", NAMESPACE, POD) or {}
        return bool(pod.get("status", {}).get("phase") == "Succeeded")

    until("success of the probe pod", succeeded, within_s=POD_S, cure="read kubelet.log and coredns.log", poll_s=0.3)
    kubectl.run("delete", "pod", "-n", NAMESPACE, POD, "--grace-period=0", "--force")
