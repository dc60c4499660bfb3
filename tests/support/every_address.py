"""A listener on every address of the machine: which families answer, and a machine without IPv6."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Final

LOOPBACKS: Final = ("127.0.0.1", "::1")


def expected_loopbacks(*, with_ipv6: bool) -> set[str]:
    """Those that answer where IPv6 was not refused, as far as this machine has it."""
    return set(LOOPBACKS) if with_ipv6 and socket.has_dualstack_ipv6() else {LOOPBACKS[0]}


async def find_answering(port: int) -> set[str]:
    return {host for host in LOOPBACKS if await _answers(host, port)}


def refuse_ipv6(*_: object, **__: object) -> None:
    """In the place of `socket.create_server`."""
    raise OSError(errno.EADDRNOTAVAIL, "no such address")


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
