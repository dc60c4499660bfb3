"""Programs in Go that tests use: built once, outside of the repository; a test that can have none is skipped and says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

BUILD_S: Final = 300
H2SPEC: Final = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"


def cache_folder(language: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "hermes-tests" / language


def _home() -> Path:
    return cache_folder("go")


def _run_go(arguments: list[str], folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine")
    environment = {**os.environ, "GOBIN": str(_home() / "bin"), "GOFLAGS": "-modcacherw"}
    try:
        done = subprocess.run(
            [go, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("Go took too long to build a program")
    if done.returncode:
        pytest.skip(f"Go could not build a program: {done.stderr.strip().splitlines()[-1:]}")


@cache
def install(module: str) -> Path:
    """The binary of a published program."""
    name = module.partition("@")[0].rpartition("/")[2]
    binary = Path(shutil.which(name) or _home() / "bin" / name)
    if not binary.exists():
        with tempfile.TemporaryDirectory() as folder:
            _run_go(["install", module], Path(folder))
    return binary


@cache
def build(source: Path, *modules: str) -> Path:
    """The binary of one of our own files, made again when it changed."""
    folder = _home() / source.stem
    folder.mkdir(parents=True, exist_ok=True)
    binary, copy = folder / source.stem, folder / "main.go"
    if not binary.exists() or not copy.exists() or copy.read_bytes() != source.read_bytes():
        binary.unlink(missing_ok=True)
        (folder / "go.mod").write_text("module hermes.test/client\n\ngo 1.23\n")
        copy.write_bytes(source.read_bytes())
        _run_go(["get", *modules], folder)
        _run_go(["build", "-o", str(binary), "."], folder)
    return binary
