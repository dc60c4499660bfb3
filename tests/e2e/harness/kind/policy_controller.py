"""What enforces NetworkPolicies on a kind cluster: kube-router as a firewall, beside the network and the proxy that are there.

Of the controllers that are to be had as Go modules kube-network-policies hands packets to itself with nftables' `queue`, which
not every kernel has; kube-router asks for iptables and ipset only.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.harness.progress import phase
from tests.e2e.harness.tools import POLICY_TOOLS, Tools
from tests.e2e.harness.versions import KUBE_ROUTER_VERSION
from tests.e2e.harness.wait import until

from .image_archive import make_image, write_archive
from .packet_filter import with_packet_filter
from .root_filesystem import RootFilesystem

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Kubectl, Manifest
    from tests.e2e.harness.paths import Cache

NAME = "kube-router"
NAMESPACE = "kube-system"
READY_S = 120.0
XTABLES_LOCK = "/run/xtables.lock"
"""Whoever changes the packet rules holds it: kube-proxy does so too."""

_READ = ["get", "list", "watch"]


@dataclass(frozen=True)
class PolicyController:
    """The controller's image, and what runs it on every node."""

    cache: Cache

    @property
    def image(self) -> str:
        """Its tag."""
        return f"localhost/hermes-e2e-{NAME}:{KUBE_ROUTER_VERSION}"

    @property
    def archive(self) -> Path:
        """Where the image is, or will be."""
        return self.cache.images / f"{NAME}-{KUBE_ROUTER_VERSION}.tar"

    def ensure(self) -> Path:
        """Build the image when it is missing."""
        if self.archive.exists():
            return self.archive
        tools, root = Tools(self.cache), RootFilesystem(self.cache)
        tools.ensure(POLICY_TOOLS)
        root.ensure()
        self.cache.images.mkdir(parents=True, exist_ok=True)
        with phase(f"image of {NAME}"), tempfile.TemporaryDirectory(dir=self.cache.images) as scratch:
            program = f"usr/local/bin/{NAME}"
            content = with_packet_filter(root.folder, {program: tools.path(NAME)}, (f"/{program}",))
            partial = self.archive.with_name(f".{self.archive.name}.{os.getpid()}")
            write_archive(partial, [make_image(self.image, content, Path(scratch))])
            partial.rename(self.archive)
        return self.archive

    def start(self, kubectl: Kubectl, services: str, nodes: int) -> None:
        """Run it on every node; returns when all are ready. `services` is the range of their addresses."""
        kubectl.apply(*build_access(), build_daemon_set(self.image, services))

        def ready() -> bool:
            status = (kubectl.get("daemonset", "-n", NAMESPACE, NAME) or {}).get("status", {})
            return bool(status.get("numberReady", 0) == nodes)

        until(f"{NAME} on {nodes} nodes", ready, within_s=READY_S, cure=f"kubectl logs -n {NAMESPACE} ds/{NAME}", poll_s=0.5)


def build_access() -> tuple[Manifest, ...]:
    """Return the account, and what it may read."""
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "pods", "services", "nodes", "endpoints"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    ]
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    rbac = "rbac.authorization.k8s.io/v1"
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rules},
        {"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": NAME}, "subjects": [subject], "roleRef": role},
    )


def build_daemon_set(image: str, services: str) -> Manifest:
    """Return what runs it on every node: the firewall alone, neither routes nor services."""
    labels = {"app": NAME}
    switches = ["--run-router=false", "--run-firewall=true", "--run-service-proxy=false", "--run-loadbalancer=false"]
    container: dict[str, Any] = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "args": [*switches, f"--service-cluster-ip-range={services}", "--hostname-override=$(NODE)"],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 20244, "host": "127.0.0.1"}, "periodSeconds": 2},
        "volumeMounts": [{"name": "lock", "mountPath": XTABLES_LOCK}],
    }
    pod = {
        "serviceAccountName": NAME,
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "lock", "hostPath": {"path": XTABLES_LOCK, "type": "FileOrCreate"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
