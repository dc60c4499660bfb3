"""One call as its handler sees it: messages to read and to write, until either side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from hermes_h2.connection import H2Connection
from hermes_h2.messages import Unreadable
from hermes_h2.serving.handled import HandledCall, Status

READS_IN_A_ROW: Final = 16
"""Of messages that are there already; then others have their turn."""


class ServedCall(Protocol):
    """What a handler has of a call, whichever process its connection is in."""

    path: str
    gone: bool

    async def read(self) -> bytes | None: ...
    async def write(self, message: bytes) -> None: ...
    def prove(self) -> None: ...
    def pardon(self) -> None: ...
    def peer_names(self) -> frozenset[str]: ...
    def peer(self) -> tuple[str, int]: ...


CallHandler = Callable[[ServedCall], Awaitable[None]]


class CallEndedError(Exception):
    """This end has ended the call, or the peer has and would not hear any more."""


class CallLink(Protocol):
    """What a call needs of the connection that it is on."""

    connection: H2Connection
    peer_host: str
    peer_port: int
    names: frozenset[str]

    def flush_soon(self) -> None: ...
    def proved(self, call: Call) -> None: ...
    def forget(self, call: Call) -> None: ...


class Call(HandledCall):
    """`path`: /service/method. `fields`: the request's header fields. One reader and one writer at a time."""

    def __init__(self, link: CallLink, stream: int, fields: dict[str, str]) -> None:
        super().__init__()
        self._link = link
        self._connection = link.connection
        self.stream = stream
        self.fields = fields
        self.path = fields[":path"]
        self.deadline: asyncio.TimerHandle | None = None
        self._in_a_row = 0
        self._held = False
        """A message waits for window, or for the transport."""

    async def read(self) -> bytes | None:
        """The next message; None when the peer has said everything, or is gone. CallEndedError once this end has ended it."""
        while True:
            if self.ended:
                raise CallEndedError
            message = self._connection.take(self.stream)
            if isinstance(message, bytes):
                if self._connection.has_output:
                    self._link.flush_soon()
                self._in_a_row += 1
                if self._in_a_row >= READS_IN_A_ROW:
                    self._in_a_row = 0
                    await asyncio.sleep(0)
                return message
            if message is not None:
                self._refuse(message)
                return None
            if self.gone or self._connection.is_over(self.stream):
                return None
            self._in_a_row = 0
            self._reading = asyncio.get_running_loop().create_future()
            try:
                await self._reading
            finally:
                self._reading = None

    async def write(self, message: bytes) -> None:
        """Returns when the transport has it. CallEndedError when nobody would hear it, or one that was given up still waits."""
        if not self.hand_over(message):
            await self.drained()

    def hand_over(self, message: bytes) -> bool:
        """As `write`; False when it waits for window or the transport, and the next one may come after `drained`."""
        if self.gone or self.ended or self._held:
            raise CallEndedError
        self._held = not self._connection.send(self.stream, message)
        self._link.flush_soon()
        return not self._held

    async def drained(self) -> None:
        """The message that waited is with the transport. CallEndedError when it never will be."""
        if self._held:
            self._writing = asyncio.get_running_loop().create_future()
            try:
                await self._writing
            finally:
                self._writing = None
        if self.gone or self.ended:
            raise CallEndedError

    def prove(self) -> None:
        """Its peer showed who it is."""
        if not self.gone and not self.ended:
            self._link.proved(self)

    def pardon(self) -> None:
        """It is done, and asked for nothing that has to be proved."""
        self._connection.pardon(self.stream)

    def peer_names(self) -> frozenset[str]:
        """The names in the certificate that the peer showed and the CA signed."""
        return self._link.names

    def peer(self) -> tuple[str, int]:
        """Where it comes from; behind a trusted proxy, where that says it comes from."""
        return self._link.peer_host, self._link.peer_port

    def answer(self, block: bytes) -> None:
        """End it with a header block, as plain HTTP."""
        self._connection.answer(self.stream, block)
        self._link.flush_soon()
        self.end()

    def finish(self, code: int, text: str = "") -> None:
        """Tell the status, once."""
        if not self.gone and not self.ended:
            self._connection.finish(self.stream, code, text)
            self._link.flush_soon()
        self.end()

    def reset(self) -> None:
        """Leave without a status, and with nothing that waits."""
        if not self.gone and not self.ended:
            self._connection.reset(self.stream)
            self._link.flush_soon()
        self.end()

    def end(self) -> None:
        """It is over for its handler. Idempotent."""
        self.ended = True
        self._link.forget(self)
        if self.deadline is not None:
            self.deadline.cancel()
        self.wake_reader()
        self.wake_writer()

    def wake_writer(self) -> None:
        self._held = False
        super().wake_writer()

    def _refuse(self, found: Unreadable) -> None:
        if found is Unreadable.COMPRESSED:
            self._connection.finish(self.stream, Status.UNIMPLEMENTED, "compressed messages are not supported")
        else:
            self._connection.finish(self.stream, Status.RESOURCE_EXHAUSTED, "message too long")
        self._link.flush_soon()
