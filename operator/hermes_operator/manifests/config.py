"""ConfigMap with the node's TOML configuration; what differs from pod to pod comes through the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from hermes_operator import names
from hermes_operator.crd_spec import AppSpec, KeystoreSpec, MeshSpec
from hermes_operator.manifests.objects import Manifest, build_metadata, canonical_hash

Setting = str | int | float | bool | list[str] | tuple[str, ...]


def build_config(mesh: MeshSpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": build_metadata(mesh, names.config_map(mesh.name)),
        "data": {names.CONFIG_FILE: render_node_config(mesh)},
    }


def config_hash(mesh: MeshSpec) -> str:
    """Goes into the pod template: a node reads its configuration once."""
    return canonical_hash(render_node_config(mesh))


def render_node_config(mesh: MeshSpec) -> str:
    """The node's TOML file. It depends on nothing but the spec, and not on the number of replicas."""
    peers = f"{names.headless_service(mesh.name)}.{mesh.namespace}.svc"
    keystore, cleanup = mesh.keystore, mesh.cleanup
    sections: dict[str, dict[str, Setting]] = {
        "node": {"data_dir": names.DATA_DIR},
        "app": {"listen": f"0.0.0.0:{names.APP_PORT}", **_changed(mesh.app, "transport", "fronts", "trusted_proxies")},
        "mesh": {
            "listen": f"0.0.0.0:{names.MESH_PORT}",
            "seeds": [f"dns:{peers}:{names.MESH_PORT}"],
            "tls_ca": f"{names.TLS_DIR}/{names.CA_CERT_KEY}",
            **_changed(keystore, "witness_wait_s", "opening_wait_s"),
        },
        "admin": {"listen": f"0.0.0.0:{names.ADMIN_PORT}", "token_file": f"{names.ADMIN_DIR}/{names.TOKEN_KEY}"},
        "keystore": {
            "passphrase_file": f"{names.PASSPHRASE_DIR}/{names.PASSPHRASE_KEY}",
            "create": True,
            "argon2_memory_kib": keystore.argon2.memory_kib,
            "argon2_time_cost": keystore.argon2.time_cost,
            "argon2_lanes": keystore.argon2.lanes,
            "rotate_interval_s": keystore.rotation_interval_s,
            **_changed(keystore, "on_rollback"),
        },
        "crypto": asdict(mesh.crypto),
        "limits": asdict(mesh.limits),
        "cleanup": {
            "idle_timeout_s": cleanup.idle_timeout_s,
            "handshake_timeout_s": cleanup.handshake_timeout_s,
            "drain_timeout_s": cleanup.drain_timeout_s,
        },
        "log": {"format": "json"},
    }
    return "\n".join(_render_section(name, settings) for name, settings in sections.items())


def _changed(spec: AppSpec | KeystoreSpec, *fields: str) -> dict[str, Setting]:
    """Those that are not the default: a mesh that sets none is rendered as before there were any, and no pod restarts."""
    plain = type(spec)()
    return {name: getattr(spec, name) for name in fields if getattr(spec, name) != getattr(plain, name)}


def _render_section(name: str, settings: Mapping[str, Setting]) -> str:
    # JSON's strings, numbers, booleans and flat lists are TOML's as well.
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join([f"[{name}]", *lines, ""])
