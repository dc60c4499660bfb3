"""The nodes of a simulated world: their names, certificates and configuration, made once a process."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from hermes_client.scenario.certificates import CertificateFiles, LocalAuthority
from hermes_client.scenario.local_mesh import render_toml
from hermes_node.config.sections import Config
from hermes_node.config.sources import load_config

APP_PORT: Final = 8443
MESH_PORT: Final = 9443
SEEDS: Final = 3
"""The first nodes are everybody's seeds."""

HEARTBEAT_S: Final = 8.0
DEAD_AFTER_S: Final = 20.0
PROBE_S: Final = 1.0
"""The probe period of worlds whose members find each other by SWIM."""
HANDSHAKE_TIMEOUT_S: Final = 30.0
ERASE_WITHIN_S: Final = 80.0
"""A rotation begins twenty seconds after a start and after what was deleted first since."""
NOT_IN_A_WORLD_S: Final = 86_400.0
"""Longer than any lives."""


def node_name(number: int) -> str:
    return f"hermes-{number}"


_membership = ["swim"]


def use_membership(name: str) -> None:
    """`mesh.membership` of every world from here on, those of processes that are forked from this one as well."""
    _membership[0] = name
    node_config.cache_clear()


def current_membership() -> str:
    return _membership[0]


_fronts = [0]


def use_fronts(number: int) -> None:
    """Of every node of every world from here on, as `use_membership`."""
    _fronts[0] = number


def current_fronts() -> int:
    return _fronts[0]


@functools.cache
def scratch_folder() -> Path:
    """In memory where the machine has such a place; gone at the end of this process, or of the one that it was forked from."""
    if _parents:
        return Path(tempfile.mkdtemp(dir=_parents[-1]))
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hermes-simulation-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_parents: list[Path] = []


@functools.cache
def _authority() -> LocalAuthority:
    folder = scratch_folder() / "certificates"
    folder.mkdir()
    return LocalAuthority(folder)


@functools.cache
def _certificate(number: int) -> CertificateFiles:
    return _authority().issue_node(node_name(number))


@functools.cache
def node_config(number: int, data_dir: Path, window: int, rotates: bool, membership: str = "") -> Config:
    """Through the real reader, so that every rule of a configuration holds."""
    membership = membership or _membership[0]
    name, authority, files = node_name(number), _authority(), _certificate(number)
    settings: dict[str, dict[str, Any]] = {
        "node": {"id": name, "data_dir": str(data_dir)},
        "app": {"listen": f"{name}:{APP_PORT}", "plaintext": True},
        "mesh": {
            "listen": f"{name}:{MESH_PORT}",
            "seeds": [f"{node_name(seed)}:{MESH_PORT}" for seed in range(SEEDS)],
            "tls_cert": str(files.certificate),
            "tls_key": str(files.key),
            "tls_ca": str(authority.ca_file),
            "membership": membership,
            "heartbeat_interval_s": HEARTBEAT_S if membership == "gossip" else PROBE_S,
            "dead_after_s": DEAD_AFTER_S,
        },
        "admin": {"listen": "127.0.0.1:9090"},
        "log": {"level": "warning"},
        "keystore": {"erase_within_s": ERASE_WITHIN_S if rotates else NOT_IN_A_WORLD_S},
        "cleanup": {"handshake_timeout_s": HANDSHAKE_TIMEOUT_S},
        "crypto": {"window": window},
    }
    path = scratch_folder() / f"{name}.toml"
    path.write_text(render_toml(settings))
    return load_config(path, {})


def settle_apart(parent: Path) -> None:
    """For a process of many: what another made stays the other's, and is made anew here in a folder below `parent`."""
    _parents.append(parent)
    for made_once in (scratch_folder, _authority, _certificate, node_config):
        made_once.cache_clear()
