"""From the owner's exec to a front that runs: it ends with its owner, and says nothing on standard error once it is up."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl

from hermes_front.exits import ExitCode
from hermes_front.link.payloads import FrontHello
from hermes_front.process.confine import ConfinementError, OwnerGoneError, confine
from hermes_front.process.front import Front


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hermes_front.process")
    parser.add_argument("--owner", type=int, required=True, help="its process id")
    parser.add_argument("--run", type=int, required=True, help="which start of a front this is")
    parser.add_argument("--link", type=int, required=True, help="descriptor of the socket to the owner")
    parser.add_argument("--listen", type=int, action="append", required=True, help="descriptor of a listening socket")
    parser.add_argument("--memory", type=int, required=True, help="bytes of private memory that it may have")
    options = parser.parse_args(arguments)
    link = socket.socket(fileno=options.link)
    listening = [socket.socket(fileno=number) for number in options.listen]
    for sock in (link, *listening):
        sock.setblocking(False)
        sock.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the owner, who drains
    _fall_silent()
    material = _open_memory()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # OpenSSL reads the system's settings with its first context
    return asyncio.run(_serve(options, link, listening, material))


async def _serve(options: argparse.Namespace, link: socket.socket, listening: list[socket.socket], material: int | None) -> int:
    """Confined once the event loop is there, which is the last thing that opens anything."""
    try:
        confinement = confine(owner_pid=options.owner, data_bytes=options.memory, listening=options.listen)
    except OwnerGoneError:
        return ExitCode.DONE
    except (ConfinementError, OSError):
        return ExitCode.NOT_CONFINED
    hello = FrontHello(options.run, confinement.landlock, confinement.confined, confinement.no_tcp, confinement.no_signals)
    return await Front(hello, link, listening, material).run()


def _open_memory() -> int | None:
    """A file that TLS material is read from, since later none can be opened; None where the system has none in memory."""
    return os.memfd_create("tls", os.MFD_CLOEXEC) if hasattr(os, "memfd_create") else None


def _fall_silent() -> None:
    """Standard error is the owner's log: nobody who takes a front over shall write lines of it."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
