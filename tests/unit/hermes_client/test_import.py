"""What an app pays for at each start: the import of the client library loads what it needs and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
UNWANTED = (
    "hermes_client.scenario",
    "hermes_client.testing",
    "hermes_core.keystore.witness",
    "hermes_core.mesh.machine",
    "hermes_core.relay",
    "hermes_node",
    "http",
    "multiprocessing",
    "unittest",
)


def test_what_an_app_does_not_need_at_its_start_is_not_loaded() -> None:
    environment = {"PYTHONPATH": ":".join(str(ROOT / folder) for folder in ("node", "client", "proto"))}
    command = [sys.executable, "-c", "import hermes_client, sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    found = [name for name in loaded for left in UNWANTED if f"{name}.".startswith(f"{left}.")]
    assert "hermes_core.endpoint.chat" in loaded
    assert not found
