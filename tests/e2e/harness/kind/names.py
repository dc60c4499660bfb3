"""Names beyond the cluster: a quick and final "no", instead of waiting for a name server that cannot be reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.harness.errors import HarnessError

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Kubectl

NAMESPACE = "kube-system"
CONFIG_MAP = "coredns"
PODS = "k8s-app=kube-dns"

_FORWARD = re.compile(r"^(?P<indent>[ \t]*)forward \. [^\n{]*(\{[^}]*\})?[ \t]*$", re.MULTILINE)
_REFUSAL = "{indent}template ANY ANY {{\n{indent}   rcode NXDOMAIN\n{indent}}}"


def refuse_beyond(corefile: str) -> str:
    """Return the configuration of CoreDNS with the refusal in the place of the way out."""
    found = _FORWARD.search(corefile)
    if found is None:
        raise HarnessError("CoreDNS forwards nothing in kubeadm's configuration", f"read it: {corefile[:200]!r}")
    return corefile[: found.start()] + _REFUSAL.format(indent=found["indent"]) + corefile[found.end() :]


def keep_names_inside(kubectl: Kubectl) -> None:
    """Change the configuration, and start CoreDNS anew, which would look at it a minute later; the probe awaits it."""
    config = kubectl.get("configmap", "-n", NAMESPACE, CONFIG_MAP)
    if config is None:
        raise HarnessError("kubeadm made no configuration of CoreDNS", f"kubectl get configmaps -n {NAMESPACE}")
    corefile = refuse_beyond(config["data"]["Corefile"])
    names = {"name": CONFIG_MAP, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": names, "data": {"Corefile": corefile}})
    kubectl.run("delete", "pod", "-n", NAMESPACE, "-l", PODS, "--grace-period=0", "--force", "--wait=false")
