"""What an app pays for at each start: the import of the client library loads and compiles what it needs and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

COMPILED = """
import hermes_client, json, sys
from dataclasses import is_dataclass
from types import FunctionType
said = []
for name, module in list(sys.modules.items()):
    if name.startswith("hermes_"):
        for kind in vars(module).values():
            if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == name:
                methods = [each for each in vars(kind).values() if isinstance(each, FunctionType)]
                made = sum(each.__code__.co_filename == "<string>" for each in methods)
                said.append((f"{name}.{kind.__name__}", made))
print(json.dumps(said))
"""
"""Of each dataclass that is loaded how many of its methods were compiled for it alone."""


def run(script: str) -> str:
    environment = {"PYTHONPATH": ":".join(str(ROOT / folder) for folder in ("node", "client", "proto"))}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def test_dataclasses_compile_no_methods_of_their_own() -> None:
    said: list[tuple[str, int]] = json.loads(run(COMPILED))
    assert len(said) > 80
    assert not [name for name, made in said if made > 1], "use hermes_core.values.dataclass"
    assert sum(made for _, made in said) < 15, said


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
    loaded = run("import hermes_client, sys; print(*sys.modules)").split()
    found = [name for name in loaded for left in UNWANTED if f"{name}.".startswith(f"{left}.")]
    assert "hermes_core.endpoint.chat" in loaded
    assert not found
