"""Free ports, asked of the system; the harness has no fixed port."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return ports that were free a moment ago; all are held at once so that none comes twice."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            sock = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            sock.bind((address, 0))
            ports.append(int(sock.getsockname()[1]))
        return ports


def free_port(address: str = "127.0.0.1") -> int:
    """Return one free port."""
    return free_ports(1, address)[0]
