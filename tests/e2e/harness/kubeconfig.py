"""Kubeconfig files for the components and for people (JSON, which is YAML)."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from .versions import CLUSTER_NAME

if TYPE_CHECKING:
    from pathlib import Path


def write_kubeconfig(path: Path, *, server: str, pki: Path, stem: str) -> None:
    """Write a kubeconfig with everything inside it, so that it can be copied."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CLUSTER_NAME,
        "clusters": [
            {
                "name": CLUSTER_NAME,
                "cluster": {"server": server, "certificate-authority-data": _inline(pki / "ca.crt")},
            }
        ],
        "users": [
            {
                "name": stem,
                "user": {
                    "client-certificate-data": _inline(pki / f"{stem}.crt"),
                    "client-key-data": _inline(pki / f"{stem}.key"),
                },
            }
        ],
        "contexts": [{"name": CLUSTER_NAME, "context": {"cluster": CLUSTER_NAME, "user": stem}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
