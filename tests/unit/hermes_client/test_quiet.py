"""What gRPC thinks of broken connections does not land on the standard error of the app, unless somebody asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_client.scenario.certificates import LocalAuthority

# A node whose certificate somebody else's authority signed, asked by a client in the same process: both ends have much to say.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from hermes_client import ClientTls, ConnectError, HermesClient
import grpc, grpc.aio

async def main():
    folder = Path(sys.argv[1])
    server = grpc.aio.server()
    pair = (folder / "node-0.key").read_bytes(), (folder / "node-0.crt").read_bytes()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    try:
        async with HermesClient(f"127.0.0.1:{port}", tls=ClientTls(Path(sys.argv[2])), connect_timeout_s=5):
            pass
    except ConnectError as error:
        print(error)
    await server.stop(None)

asyncio.run(main())
"""


@pytest.mark.parametrize(("verbosity", "silent"), [(None, True), ("DEBUG", False)])
def test_standard_error_is_the_apps(verbosity: str | None, silent: bool, tmp_path: Path) -> None:
    for name in ("mesh", "other"):
        (tmp_path / name).mkdir()
    LocalAuthority(tmp_path / "mesh").issue_node("node-0")
    other = LocalAuthority(tmp_path / "other").ca_file
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    if verbosity is not None:
        environment["GRPC_VERBOSITY"] = verbosity
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "mesh"), str(other)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "is signed by none of" in done.stdout
    assert (done.stderr == "") is silent, done.stderr
