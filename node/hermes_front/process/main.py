"""From the owner's exec to a front that runs: it ends with its owner, and says nothing on standard error once it is up."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import socket
import sys
from typing import Final

from hermes_front.exits import ExitCode
from hermes_front.process.front import Front

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hermes_front.process")
    parser.add_argument("--owner", type=int, required=True, help="its process id")
    parser.add_argument("--run", type=int, required=True, help="which start of a front this is")
    parser.add_argument("--link", type=int, required=True, help="descriptor of the socket to the owner")
    parser.add_argument("--listen", type=int, action="append", required=True, help="descriptor of a listening socket")
    options = parser.parse_args(arguments)
    _die_with(options.owner)
    link = socket.socket(fileno=options.link)
    listening = [socket.socket(fileno=number) for number in options.listen]
    for sock in (link, *listening):
        sock.setblocking(False)
        sock.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the owner, who drains
    _fall_silent()
    return asyncio.run(Front(options.run, link, listening).run())


def _die_with(owner: int) -> None:
    """The end of the link says it as well, to a front that still reads."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != owner:  # it died before that
        os._exit(ExitCode.DONE)


def _fall_silent() -> None:
    """Standard error is the owner's log: nobody who takes a front over shall write lines of it."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
