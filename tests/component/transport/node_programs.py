"""Programs for Node that tests use, with packages outside of the repository; a test that can have none is skipped with why."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.component.transport.go_programs import cache_folder

INSTALL_S: Final = 300


@cache
def prepare(source: Path, **packages: str) -> tuple[str, str]:
    """Node, and one of our own files beside the packages that it needs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node with npm on this machine")
    folder = cache_folder("node") / source.stem
    folder.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"name": "hermes-test", "private": True, "dependencies": packages})
    manifest = folder / "package.json"
    if not manifest.exists() or manifest.read_text() != wanted:
        manifest.write_text(wanted)
        try:
            done = subprocess.run(
                [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            done = None
        if done is None or done.returncode:
            manifest.unlink()
            pytest.skip(f"npm could not get its packages: {'it took too long' if done is None else done.stderr[-200:]}")
    program = folder / source.name
    program.write_bytes(source.read_bytes())
    return node, str(program)
