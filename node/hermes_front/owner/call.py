"""A stream that a front passes on, as its handler sees it: what `hermes_h2.serving.call.Call` is without fronts."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from hermes_front.link.owner_end import OwnerEnd
from hermes_front.link.payloads import StreamOpening
from hermes_front.socket_link import SocketLink
from hermes_h2.serving.call import READS_IN_A_ROW, CallEndedError
from hermes_h2.serving.handled import HandledCall
from hermes_h2.serving.places import charge_to


class CallFront(Protocol):
    """What a call needs of the run of a front that it came over."""

    link: SocketLink[OwnerEnd]

    def forget(self, call: FrontCall) -> None: ...
    def proved(self, call: FrontCall) -> None: ...


class FrontCall(HandledCall):
    """One reader and one writer at a time. `payer`: whose turns its beginning takes."""

    def __init__(self, front: CallFront, stream: int, opening: StreamOpening) -> None:
        super().__init__()
        self._front = front
        self._link = front.link
        self._end = front.link.end
        self.stream = stream
        self.path = opening.path
        self._opening = opening
        self.payer = charge_to(opening.host)
        self.spent_s = 0.0
        self._half = False
        self._messages: deque[bytes] = deque()
        self._in_a_row = 0

    async def read(self) -> bytes | None:
        """The next message; None when the peer has said everything, or is gone. CallEndedError once this end has ended it."""
        while True:
            if self.ended:
                raise CallEndedError
            if self._messages:
                message = self._messages.popleft()
                self._end.taken(self.stream, len(message))
                if self._end.has_output:
                    self._link.flush_soon()
                self._in_a_row += 1
                if self._in_a_row >= READS_IN_A_ROW:
                    self._in_a_row = 0
                    await asyncio.sleep(0)
                return message
            if self.gone or self._half:
                return None
            self._in_a_row = 0
            self._reading = asyncio.get_running_loop().create_future()
            try:
                await self._reading
            finally:
                self._reading = None

    async def write(self, message: bytes) -> None:
        """Returns when it is on its way to the front. CallEndedError when nobody would hear it."""
        while True:
            if self.gone or self.ended:
                raise CallEndedError
            if self._link.full:
                await self._link.wait_for_room()
            elif self._end.may_send(self.stream):
                self._end.send(self.stream, message)
                self._link.flush_soon()
                return
            else:
                await self._wait_for_credit()

    async def _wait_for_credit(self) -> None:
        self._writing = asyncio.get_running_loop().create_future()
        try:
            await self._writing
        finally:
            self._writing = None

    def prove(self) -> None:
        """Its peer showed who it is."""
        if not self.gone and not self.ended:
            self._end.prove(self.stream)
            self._link.flush_soon()
            self._front.proved(self)

    def pardon(self) -> None:
        """It is done, and asked for nothing that has to be proved."""
        if not self.gone and not self.ended:
            self._end.pardon(self.stream)
            self._link.flush_soon()

    def peer_names(self) -> frozenset[str]:
        """The names in the certificate that the peer showed and the CA signed."""
        return self._opening.names

    def peer(self) -> tuple[str, int]:
        """Where it comes from; behind a trusted proxy, where that says it comes from."""
        return self._opening.host, self._opening.port

    def finish(self, code: int, text: str = "") -> None:
        """Tell the status, once."""
        if not self.gone and not self.ended:
            self._end.end(self.stream, code, text)
            self._link.flush_soon()
        self.end()

    def reset(self) -> None:
        """Leave without a status, and with nothing that waits."""
        if not self.gone and not self.ended:
            self._end.reset(self.stream)
            self._link.flush_soon()
        self.end()

    def end(self) -> None:
        """It is over for its handler. Idempotent."""
        self.ended = True
        self._front.forget(self)
        self.wake_reader()
        self.wake_writer()

    # What its front says.

    def feed(self, message: bytes) -> None:
        self._messages.append(message)
        self.wake_reader()

    def end_peer(self) -> None:
        self._half = True
        self.wake_reader()
