"""Takes connections from the backlog as fast as they come: it is everybody's, and whom it has no room for waits a second."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

ACCEPTED_AT_ONCE: Final = 64
"""In one pass of the event loop: some 10 µs each."""
OUT_OF_RESOURCES_S: Final = 0.5
"""Until it is tried again, when the process can have no more descriptors."""

OnAccepted = Callable[[socket.socket, str, int], None]
"""The connection, which is its owner's to close now, and the peer's host and port."""


class Acceptor:
    """Of one listening socket, which it does not own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listening: socket.socket, on_accepted: OnAccepted) -> None:
        self._loop = loop
        self._listening = listening
        self._on_accepted = on_accepted
        self._later: asyncio.TimerHandle | None = None
        self._open()

    def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        else:
            self._loop.remove_reader(self._listening)

    def _open(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(self._listening)
                self._later = self._loop.call_later(OUT_OF_RESOURCES_S, self._open)
                self._loop.call_exception_handler({"message": "no connection can be accepted", "exception": error})
                return
            sock.setblocking(False)
            self._on_accepted(sock, str(address[0]), int(address[1]))
