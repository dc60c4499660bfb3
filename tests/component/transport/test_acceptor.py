"""Taking connections when the process can have no more descriptors: it is told, and tried again without spinning."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any, cast

from hermes_h2.serving.acceptor import Acceptor
from hermes_h2.serving.sockets import listen_on


class Exhausted:
    """A listening socket of a process without descriptors."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.left = 0
        self.asked = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def accept(self) -> Any:
        self.asked += 1
        if not self.left:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._sock.accept()


async def test_without_descriptors_it_waits_and_says_so() -> None:
    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    (listening,) = listen_on("127.0.0.1", 0)
    exhausted = Exhausted(listening)
    accepted: asyncio.Queue[tuple[socket.socket, str]] = asyncio.Queue()
    acceptor = Acceptor(loop, cast("socket.socket", exhausted), lambda sock, host, _: accepted.put_nowait((sock, host)))
    client = socket.create_connection(listening.getsockname())
    try:
        async with asyncio.timeout(10):
            while not told:  # noqa: ASYNC110 - said by a callback
                await asyncio.sleep(0.01)
            exhausted.left = 1
            sock, host = await accepted.get()
        sock.close()
        assert (host, len(told)) == ("127.0.0.1", 1)
        assert exhausted.asked <= 4
    finally:
        acceptor.close()
        client.close()
        listening.close()
