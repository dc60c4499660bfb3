"""The pinned versions and fixed names; go.mod of the tools module is the one place that pins Kubernetes."""

from __future__ import annotations

import re
from pathlib import Path

_GO_MOD = Path(__file__).resolve().parent.parent / "tools" / "go.mod"


def read_version(module: str, go_mod: Path = _GO_MOD) -> str:
    """Return the version of a module that go.mod requires, such as `v1.36.2`."""
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    if match is None:
        message = f"no {module} in {go_mod}"
        raise ValueError(message)
    return match.group(1)


KUBERNETES_VERSION = read_version("k8s.io/kubernetes")
KIND_VERSION = read_version("sigs.k8s.io/kind")
KUBE_ROUTER_VERSION = read_version("github.com/cloudnativelabs/kube-router/v2")

CLUSTER_NAME = "hermes-e2e"
NODE_NAME = "hermes-e2e"
BRIDGE = "hermes-e2e0"
NODE_IP = "10.244.0.1"  # the bridge's address: loopback is refused for endpoints
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
API_SERVER_PORT = 6443  # kubeadm's, on an address of the node's own
DNS_SERVICE_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
STORAGE_CLASS = "standard"  # the name that kind gives its default class too
PAUSE_IMAGE = "localhost/hermes-e2e-pause:1"
BASE_IMAGE = "localhost/hermes-e2e-base:bookworm"
PROJECT_IMAGE = "localhost/hermes:e2e"
