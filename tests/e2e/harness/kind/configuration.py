"""What kind and kubeadm are told of a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .family import Family
    from .subnets import Subnets

MOST_NODES = 9
# JSON is YAML. The settings are those of the `local` cluster: its machines may have control groups of version 1, and after
# a SIGKILL a test should not wait for kubelet's patience.
_KUBELET = {
    "kind": "KubeletConfiguration",
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "failCgroupV1": False,
    "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
}


def build_configuration(blocks: Sequence[Subnets], nodes: int, family: Family) -> dict[str, Any]:
    """Return kind's configuration: one control plane, the other nodes workers; of the blocks those of the family."""
    used = [next(subnets for subnets in blocks if subnets.version == version) for version in family.versions]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {
            "ipFamily": str(family),
            "podSubnet": ",".join(str(subnets.pods) for subnets in used),
            "serviceSubnet": ",".join(str(subnets.services) for subnets in used),
        },
        "nodes": [{"role": "control-plane"}, *[{"role": "worker"}] * (nodes - 1)],
        "kubeadmConfigPatches": [json.dumps(_KUBELET)],
    }
