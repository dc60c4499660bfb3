"""The node's container: environment, mounts and probes, within the `restricted` Pod Security Standard."""

from __future__ import annotations

from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.objects import Manifest

# Readable by the pod's group only.
_SECRET_MODE = 0o440


def build_container(mesh: MeshSpec) -> Manifest:
    container: Manifest = {
        "name": names.CONTAINER,
        "image": mesh.pod.image,
        "imagePullPolicy": mesh.pod.image_pull_policy,
        "command": ["hermes-node"],
        "args": ["--config", f"{names.CONFIG_DIR}/{names.CONFIG_FILE}"],
        "env": _build_env(mesh),
        "ports": [
            _port("app", names.APP_PORT),
            _port("mesh", names.MESH_PORT),
            _port("metrics", names.ADMIN_PORT),
        ],
        "volumeMounts": [
            {"name": names.VOLUME_CLAIM, "mountPath": names.DATA_DIR},
            {"name": "config", "mountPath": names.CONFIG_DIR, "readOnly": True},
            {"name": "tls", "mountPath": names.TLS_DIR, "readOnly": True},
            {"name": "passphrase", "mountPath": names.PASSPHRASE_DIR, "readOnly": True},
            {"name": "admin", "mountPath": names.ADMIN_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod
        ],
        # Argon2id and opening a large keystore take time before anything answers.
        "startupProbe": _probe("/healthz", period=2, failures=60),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=3, failures=2),
        # A node that cannot start says why in its last line on stderr; the operator shows it as a condition.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if mesh.pod.resources:
        container["resources"] = dict(mesh.pod.resources)
    return container


def build_volumes(mesh: MeshSpec) -> list[Manifest]:
    passphrase = mesh.passphrase
    return [
        {"name": "config", "configMap": {"name": names.config_map(mesh.name)}},
        {"name": "tls", "secret": {"secretName": names.tls_secret(mesh.name), "defaultMode": _SECRET_MODE}},
        {
            "name": "passphrase",
            "secret": {
                "secretName": passphrase.name,
                "defaultMode": _SECRET_MODE,
                "items": [{"key": passphrase.key, "path": names.PASSPHRASE_KEY}],
            },
        },
        {"name": "admin", "secret": {"secretName": names.admin_secret(mesh.name), "defaultMode": _SECRET_MODE}},
        {"name": "tmp", "emptyDir": {}},
    ]


def _build_env(mesh: MeshSpec) -> list[Manifest]:
    host = f"$(POD_NAME).{names.headless_service(mesh.name)}.{mesh.namespace}.svc"
    certificate, key = f"{names.TLS_DIR}/$(POD_NAME).crt", f"{names.TLS_DIR}/$(POD_NAME).key"
    # POD_NAME first: $(…) sees only what stands before it.
    own: dict[str, Any] = {
        "HERMES_NODE_ID": "$(POD_NAME)",
        "HERMES_APP_ADVERTISE": mesh.node_address,
        "HERMES_APP_TLS_CERT": certificate,
        "HERMES_APP_TLS_KEY": key,
        "HERMES_MESH_ADVERTISE": f"{host}:{names.MESH_PORT}",
        "HERMES_MESH_TLS_CERT": certificate,
        "HERMES_MESH_TLS_KEY": key,
    }
    first = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    ours = [first, *({"name": name, "value": value} for name, value in own.items())]
    return ours + [{"name": name, "value": value} for name, value in mesh.pod.env if name not in own]


def _port(name: str, port: int) -> Manifest:
    return {"name": name, "containerPort": port, "protocol": "TCP"}


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "metrics", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }
