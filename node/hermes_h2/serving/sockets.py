"""Listening sockets for an address as people write it: a name can be several addresses, 0.0.0.0 is IPv6 as well."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Final

BACKLOG: Final = 1024
_EVERY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, and bound on request


def listen_on(host: str, port: int) -> list[socket.socket]:
    """At least one; all with the port of the first when `port` is 0. OSError says why there is none."""
    if host in _EVERY:
        with contextlib.suppress(OSError):
            return [_listen(socket.AF_INET6, ("::", port), every_family=True)]
    found: list[socket.socket] = []
    failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, _, _, _, target in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP):
        chosen = found[0].getsockname()[1] if found else port
        try:
            found.append(_listen(family, (target[0], chosen, *target[2:])))
        except OSError as error:
            failure = error
    if not found:
        raise failure
    return found


def _listen(family: int, target: tuple[object, ...], *, every_family: bool = False) -> socket.socket:
    # With its protocol named: asyncio sets TCP_NODELAY only where it sees it.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # No SO_REUSEPORT: a second process on the port is a mistake to report, not a way to share it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if every_family else 1)
        sock.bind(target)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
