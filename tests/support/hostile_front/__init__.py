"""A front that somebody has taken over: started as any other, it serves as any other, and obeys whoever calls ORDER."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import ipaddress
import itertools
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from hermes_front.exits import ExitCode
from hermes_front.link.frames import LinkKind, build_frame
from hermes_front.link.payloads import StreamOpening, build_opening
from hermes_front.process.front import Front
from hermes_front.process.main import main
from hermes_h2.serving.call import Call
from hermes_h2.serving.server import Server
from hermes_h2.serving.turns import StrangersTurns

ORDER = "/hostile.Front/Order"
DONE = "done"

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_PTRACE_SEIZE = 0x4206  # attaches, and stops nobody


def run() -> int:
    with patch.dict(cast("Any", Front.__init__).__kwdefaults__, build_server=ObeyingServer):
        return main(sys.argv[1:])


class ObeyingServer(Server):
    async def start(
        self, handlers: Mapping[str, Callable[[Call], Awaitable[None]]], turns: StrangersTurns | None = None
    ) -> None:
        await super().start({**handlers, ORDER: obey}, turns)


async def obey(call: Call) -> None:
    """What is to be done comes as JSON, with its arguments; the answer is what came of it."""
    call.prove()
    while (message := await call.read()) is not None:
        name, *arguments = json.loads(message)
        try:
            found = ORDERS[name](*arguments)
            if isinstance(found, Coroutine):
                found = await found
        except (OSError, MemoryError) as error:
            found = f"{type(error).__name__}: {error.strerror if isinstance(error, OSError) else ''}"
        await call.write(json.dumps(DONE if found is None else found).encode())


def _front() -> Front:
    return next(found for found in gc.get_objects() if isinstance(found, Front))


def _read(path: str) -> None:
    with Path(path).open("rb", buffering=0) as file:
        if not path.endswith("/mem"):  # where nothing is at 0
            file.read(1)


def _dial(host: str, port: int, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.connect((host, port))
        sock.send(b"x")


def _call(number: int, *arguments: int) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *(ctypes.c_long(argument) for argument in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _attach(pid: int) -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(_PTRACE_SEIZE, pid, None, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _take_descriptor(pid: int) -> None:
    _call(_PIDFD_GETFD, _call(_PIDFD_OPEN, pid, 0), 0, 0)


def _try_descriptors() -> list[str]:
    """What can be had through those that are open: bytes of a file, or another file by way of a folder."""
    found = []
    for number in range(1024):
        for attempt in (lambda at: os.lseek(at, 0, os.SEEK_END) and "bytes", lambda at: os.open(".", os.O_RDONLY, dir_fd=at)):
            try:
                found.append(f"{number}: {attempt(number)}")
            except OSError as error:
                if error.errno not in {errno.EBADF, errno.ESPIPE, errno.ENOTDIR}:
                    found.append(f"{number}: {error.strerror}")
    return [item for item in found if not item.endswith(": 0")]


def _listening() -> socket.socket:
    return _front()._sockets[0]


def _let_all_wait() -> None:
    _listening().setblocking(True)
    _listening().setblocking(False)


def _say(*frames: str) -> None:
    """Over the link, as they are."""
    link: Any = _front()._link
    link._transport.write(b"".join(map(bytes.fromhex, frames)))


async def _flood(before: str, frame: str) -> None:
    """As fast as the owner takes it."""
    _say(before)
    await _write(itertools.repeat(bytes.fromhex(frame) * (1 + 65_536 // (len(frame) // 2))))


async def _open_without_end(path: str) -> None:
    """Each gone at once, and from another address."""

    def frames() -> Iterator[bytes]:
        for number in itertools.count(1_000):
            opening = StreamOpening(path, str(ipaddress.ip_address(number)), 1)
            yield build_frame(LinkKind.OPEN, number, build_opening(opening)) + build_frame(LinkKind.GONE, number)

    every = frames()
    await _write(b"".join(itertools.islice(every, 500)) for _ in itertools.count())


async def _write(pieces: Iterable[bytes]) -> None:
    link: Any = _front()._link
    for piece in pieces:
        link._transport.write(piece)
        while link._transport.get_write_buffer_size():  # noqa: ASYNC110 - a transport has no event for it
            await asyncio.sleep(0)


def _hoard() -> None:
    """Ends as a front does that may have no more."""
    held = []
    try:
        while True:
            held.append(bytearray(1 << 20))
    except MemoryError:
        os._exit(ExitCode.MEMORY)


def _go_deaf() -> None:
    link: Any = _front()._link
    link._transport.pause_reading()


def _spin() -> None:
    while True:
        pass


ORDERS: Mapping[str, Callable[..., Any]] = {
    "who": os.getpid,
    "environment": lambda: dict(os.environ),
    "descriptors": _try_descriptors,
    "streams": lambda: sorted(_front()._calls),
    "read": _read,
    "append": lambda path: Path(path).open("ab").close(),
    "make": lambda path: Path(path).open("xb").close(),
    "list": lambda path: list(Path(path).iterdir()) and None,
    "change mode": lambda path: Path(path).chmod(0o600),
    "look": lambda path: Path(path).stat() and None,
    "dial": _dial,
    "send UDP": lambda host, port: _dial(host, port, socket.SOCK_DGRAM),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "attach": _attach,
    "signal": lambda pid: os.kill(pid, signal.SIGCONT),
    "take a descriptor": _take_descriptor,
    "limit": lambda pid: resource.prlimit(pid, resource.RLIMIT_CPU, resource.prlimit(pid, resource.RLIMIT_CPU)) and None,
    "slow": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)),
    "execute": lambda path: os.posix_spawn(path, [path], {}) and None,
    "let all wait": _let_all_wait,
    "end the socket of all": lambda: _listening().shutdown(socket.SHUT_RD),
    "take memory": lambda size: bytearray(size) and None,
    "say": _say,
    "flood": _flood,
    "open without end": _open_without_end,
    "go deaf": _go_deaf,
    "take memory without end": _hoard,
    "spin": _spin,
    "end": lambda: os._exit(0),
}
