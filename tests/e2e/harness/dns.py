"""Cluster DNS: CoreDNS as a host process behind the usual service address, so no image is needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .ports import free_port, free_ports
from .processes import Processes
from .versions import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IP

if TYPE_CHECKING:
    from .kubectl import Kubectl, Manifest
    from .paths import RunDir
    from .tools import Tools

NAME = "coredns"

# Names beyond the cluster get a quick and final "no": nothing leaves this machine. Short times to live,
# because tests look up pods that were not there a second ago.
_COREFILE = """\
{domain}:{port} in-addr.arpa:{port} {{
    bind {address}
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 1
    }}
}}
.:{port} {{
    bind {address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


@dataclass(frozen=True)
class Dns:
    """The name service of one cluster."""

    run_dir: RunDir
    tools: Tools

    def start(self, kubectl: Kubectl) -> None:
        """Start CoreDNS and point the service `kube-dns` at it."""
        port = free_port(NODE_IP)
        health, ready = free_ports(2)
        corefile = self.run_dir.conf / "Corefile"
        corefile.write_text(
            _COREFILE.format(
                port=port,
                address=NODE_IP,
                health=health,
                ready=ready,
                domain=CLUSTER_DOMAIN,
                kubeconfig=self.run_dir.pki / "coredns.kubeconfig",
            )
        )
        kubectl.apply(*_access(), *_service(port))
        Processes(self.run_dir).start(NAME, [self.tools.path("coredns"), "-conf", corefile])


def _access() -> list[Manifest]:
    """Let CoreDNS read what it serves, and no more."""
    name = "hermes-e2e-coredns"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "apiGroup": group, "name": name}],
        },
    ]


def _service(port: int) -> list[Manifest]:
    """Return a service without a selector, and the one endpoint that it leads to."""
    protocols = (("dns", "UDP"), ("dns-tcp", "TCP"))
    name = {"name": "kube-dns", "namespace": "kube-system"}
    service_ports: list[dict[str, Any]] = [
        {"name": label, "protocol": protocol, "port": 53, "targetPort": port} for label, protocol in protocols
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**name, "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": DNS_SERVICE_IP, "ports": service_ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                **name,
                "labels": {
                    "kubernetes.io/service-name": "kube-dns",
                    "endpointslice.kubernetes.io/managed-by": "hermes-e2e",
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": label, "protocol": protocol, "port": port} for label, protocol in protocols],
            "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        },
    ]
