"""The Services of a mesh: one that names every peer, one that apps connect to."""

from __future__ import annotations

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.objects import Manifest, build_metadata


def build_headless_service(mesh: MeshSpec) -> Manifest:
    """DNS of the peers. Unready pods are listed: nodes find each other while they start."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(mesh, names.headless_service(mesh.name)),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": names.selector_labels(mesh.name),
            "ports": [
                _port("mesh", names.MESH_PORT),
                _port("metrics", names.ADMIN_PORT),
                _port("app", names.APP_PORT),
            ],
        },
    }


def build_client_service(mesh: MeshSpec) -> Manifest:
    """Where apps connect: ready nodes only."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(mesh, mesh.name, annotations=mesh.service_annotations),
        "spec": {
            "type": mesh.service_type,
            "selector": names.selector_labels(mesh.name),
            "ports": [_port("app", names.APP_PORT)],
        },
    }


def _port(name: str, port: int) -> Manifest:
    return {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
