"""ServiceAccount, PodDisruptionBudget, NetworkPolicy and PodMonitor of a mesh."""

from __future__ import annotations

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.objects import Manifest, build_metadata


def build_service_account(mesh: MeshSpec) -> Manifest:
    """An identity with no rights and no token: nodes never talk to the API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": build_metadata(mesh, mesh.name),
        "automountServiceAccountToken": False,
    }


def build_disruption_budget(mesh: MeshSpec) -> Manifest | None:
    """One node at a time. None for a single node: it would only block drains."""
    if mesh.replicas == 1:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": build_metadata(mesh, mesh.name),
        "spec": {
            "maxUnavailable": 1,
            # A node that is sealed or crashing must not keep a machine from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector_labels(mesh.name)},
        },
    }


def build_network_policy(mesh: MeshSpec) -> Manifest | None:
    """Apps from everywhere, peers from this mesh only, admin from the cluster's pods (its acting endpoints need the token)."""
    if not mesh.network_policy:
        return None
    selector = {"matchLabels": names.selector_labels(mesh.name)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": build_metadata(mesh, mesh.name),
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [_port(names.APP_PORT)]},
                {"ports": [_port(names.MESH_PORT)], "from": [{"podSelector": selector}]},
                {"ports": [_port(names.ADMIN_PORT)], "from": [{"namespaceSelector": {}}]},
            ],
        },
    }


def build_pod_monitor(mesh: MeshSpec) -> Manifest | None:
    """Scrapes every node, with the labels that the dashboards and alerts ask for."""
    if not mesh.pod_monitor.enabled:
        return None
    metadata = build_metadata(mesh, mesh.name)
    metadata["labels"] = dict(mesh.pod_monitor.labels) | metadata["labels"]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": names.selector_labels(mesh.name)},
            "podMetricsEndpoints": [
                {
                    "port": "metrics",
                    "path": "/metrics",
                    "interval": mesh.pod_monitor.interval,
                    "relabelings": [
                        {
                            "action": "replace",
                            "sourceLabels": ["__meta_kubernetes_pod_label_hermesmesh_io_mesh"],
                            "targetLabel": "mesh",
                        },
                        {"action": "replace", "replacement": "hermes-node", "targetLabel": "job"},
                    ],
                }
            ],
        },
    }


def _port(port: int) -> Manifest:
    return {"port": port, "protocol": "TCP"}
