"""Generate the protobuf modules in proto/hermes_proto/v2 from the .proto files, or check that they are up to date."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = "hermes_proto/v2"


def _generate(out: Path) -> None:
    plugins = Path(sys.executable).parent
    sources = sorted(str(p) for p in (PROTO / PACKAGE).glob("*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTO}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        *(f"--{kind}_out={out}" for kind in ("python", "grpc_python")),
        *(f"--{kind}_out=quiet:{out}" for kind in ("mypy", "mypy_grpc")),
        *sources,
    ]
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter and files


def _generated(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder / PACKAGE).glob("*_pb2*"))}


def generate() -> None:
    """Write the modules into proto/."""
    _generate(PROTO)


def check() -> list[str]:
    """Names of modules that differ from what the .proto files give."""
    with tempfile.TemporaryDirectory() as folder:
        _generate(Path(folder))
        fresh, held = _generated(Path(folder)), _generated(PROTO)
    return [f"proto/{PACKAGE}/{name}" for name in sorted(fresh.keys() | held.keys()) if fresh.get(name) != held.get(name)]
