"""Where gRPC goes when the client dials: to a host and a port, also where the host's name is one of its own schemes."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from hermes_client.tls import PLAIN, ClientTls, open_channel


@pytest.mark.parametrize("tls", [PLAIN, ClientTls()], ids=["plain", "tls"])
async def test_a_host_called_unix_is_no_path_of_a_socket(tls: ClientTls, tmp_path: Path) -> None:
    former = Path.cwd()
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("8443")
            listening.listen()
            listening.settimeout(0.5)
            channel = open_channel("unix:8443", tls)
            channel.get_state(try_to_connect=True)
            with pytest.raises(TimeoutError):
                await _accept(listening)
            await channel.close()
    finally:
        os.chdir(former)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_addresses_and_names_lead_where_they_say(host: str) -> None:
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host.strip("[]"), 0))
        listening.listen()
        listening.settimeout(5)
        channel = open_channel(f"{host}:{listening.getsockname()[1]}", PLAIN)
        channel.get_state(try_to_connect=True)
        await _accept(listening)
        await channel.close()


async def _accept(listening: socket.socket) -> None:
    connection, _ = await asyncio.get_running_loop().run_in_executor(None, listening.accept)
    connection.close()
