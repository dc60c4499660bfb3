"""Names beyond the cluster: a quick and final "no", instead of waiting for a name server that cannot be reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.versions import CLUSTER_DOMAIN

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Kubectl

NAMESPACE = "kube-system"
CONFIG_MAP = "coredns"
PODS = "k8s-app=kube-dns"

_ZONE = re.compile(r"^\.:(?P<port>\d+) \{", re.MULTILINE)
_FORWARD = re.compile(r"^[ \t]*forward \. [^\n{]*(\{[^}]*\})?[ \t]*\n", re.MULTILINE)
INSIDE = (CLUSTER_DOMAIN, "in-addr.arpa", "ip6.arpa")
# A block of its own: in the block of the cluster it would answer before the cluster does.
_BEYOND = """\
.:{port} {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def refuse_beyond(corefile: str) -> str:
    """Return the configuration of CoreDNS with its one block for the cluster's names only, and a refusal of all others."""
    zone = _ZONE.search(corefile)
    if zone is None or _FORWARD.search(corefile) is None:
        raise HarnessError("kubeadm's configuration of CoreDNS is not as it was", f"read it: {corefile[:200]!r}")
    inside = " ".join(f"{name}:{zone['port']}" for name in INSIDE) + " {"
    narrowed = corefile[: zone.start()] + inside + corefile[zone.end() :]
    return _FORWARD.sub("", narrowed).rstrip("\n") + "\n" + _BEYOND.format(port=zone["port"])


def keep_names_inside(kubectl: Kubectl) -> None:
    """Change the configuration, and start CoreDNS anew, which would look at it a minute later; the probe awaits it."""
    config = kubectl.get("configmap", "-n", NAMESPACE, CONFIG_MAP)
    if config is None:
        raise HarnessError("kubeadm made no configuration of CoreDNS", f"kubectl get configmaps -n {NAMESPACE}")
    corefile = refuse_beyond(config["data"]["Corefile"])
    names = {"name": CONFIG_MAP, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": names, "data": {"Corefile": corefile}})
    kubectl.run("delete", "pod", "-n", NAMESPACE, "-l", PODS, "--grace-period=0", "--force", "--wait=false")
