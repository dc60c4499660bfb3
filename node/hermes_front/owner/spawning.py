"""Starts a front's process: by exec, with the descriptors that it needs and an environment that holds nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

MODULE = "hermes_front.process"


class FrontProcess(Protocol):
    """What an owner needs of a front's process."""

    @property
    def pid(self) -> int: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


SpawnFront = Callable[[int, Sequence[socket.socket], int, str], tuple[FrontProcess, socket.socket]]
"""`spawn_front`, or what stands for it where no process is started."""


def spawn_front(
    run: int, listening: Sequence[socket.socket], memory_bytes: int, module: str = MODULE
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and this end of the link. OSError when there can be none.

    From the thread that goes on: a front ends with the one that started it.
    """
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        numbers = [sock.fileno() for sock in listening]
        arguments = [
            "--owner",
            str(os.getpid()),
            "--run",
            str(run),
            "--link",
            str(theirs.fileno()),
            "--memory",
            str(memory_bytes),
        ]
        for number in numbers:
            arguments += ["--listen", str(number)]
        process = subprocess.Popen(  # noqa: S603 - the arguments are our own
            [sys.executable, "-P", "-s", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *numbers),
            env=build_environment(),
            cwd="/",
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


def build_environment() -> dict[str, str]:
    """Made anew, so that no secret of this one can be in it: the modules are found where this process finds them."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path), "PYTHONDONTWRITEBYTECODE": "1"}


def read_resident_bytes(pid: int) -> int | None:
    """None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/statm").read_text("ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
