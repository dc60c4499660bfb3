"""One call of a peer, passed on to the owner: messages both ways as credits, windows and the transport allow."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from hermes_front.link.front_end import FrontEnd
from hermes_front.link.payloads import StreamOpening
from hermes_front.socket_link import SocketLink
from hermes_h2.serving.call import Call, CallEndedError

LAST_WORDS_S: Final = 2.0
"""For a peer to take what its owner said before it ended the stream."""


class Held:
    """Bytes of messages that peers have not taken, of all calls together."""

    total = 0


class PipedCall:
    """The owner knows it as `stream`."""

    def __init__(self, call: Call, link: SocketLink[FrontEnd], all_held: Held) -> None:
        self._all_held = all_held
        self._call = call
        self._link = link
        self._end = link.end
        host, port = call.peer()
        self.stream = link.end.open(StreamOpening(call.path, host, port, call.peer_names()))
        link.flush_soon()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._credit: asyncio.Future[None] | None = None
        self._waiting: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._last: tuple[int, str] | None = None
        self._last_words: asyncio.TimerHandle | None = None
        self.held = 0
        """Bytes of messages that the peer has not taken."""

    async def run(self) -> None:
        """Until either side ended it."""
        try:
            with contextlib.suppress(CallEndedError):
                await self._pass_on()
            await self._over
        finally:
            self._end.lose_peer(self.stream)  # of no effect where the owner has ended it
            self._link.flush_soon()
            self._hold(-self.held)
            if self._last_words is not None:
                self._last_words.cancel()

    async def _pass_on(self) -> None:
        while True:
            while not self._end.may_send(self.stream):
                await self._wait_for_credit()
            if self._link.full:
                await self._link.wait_for_room()
            message = await self._call.read()
            if message is None:
                break
            self._end.send(self.stream, message)
            self._link.flush_soon()
        self._end.end_peer(self.stream)
        self._link.flush_soon()

    async def _wait_for_credit(self) -> None:
        self._credit = self._loop.create_future()
        try:
            await self._credit
        finally:
            self._credit = None

    # What the owner says.

    def wake_reader(self) -> None:
        if self._credit is not None and not self._credit.done():
            self._credit.set_result(None)

    def prove(self) -> None:
        self._call.prove()

    def pardon(self) -> None:
        self._call.pardon()

    def deliver(self, message: bytes) -> None:
        self._hold(len(message))
        if self._writer is not None:
            self._waiting.append(message)
            return
        try:
            taken = self._call.hand_over(message)
        except CallEndedError:
            return
        if taken:
            self._taken(len(message))
        else:
            self._writer = self._loop.create_task(self._write_on(len(message)))

    def finish(self, status: int, text: str) -> None:
        """Behind what waits."""
        self._last = (status, text)
        self.wake_reader()
        if self._writer is None:
            self._say_last()
        else:
            self._last_words = self._loop.call_later(LAST_WORDS_S, self.reset)

    def reset(self) -> None:
        self._call.reset()
        self.wake_reader()
        self._be_over()

    async def _write_on(self, size: int) -> None:
        """The peer is slower than the owner. `size`: of the message that the call has, and the transport does not."""
        with contextlib.suppress(CallEndedError):
            await self._call.drained()
            self._taken(size)
            while self._waiting:
                message = self._waiting.popleft()
                if not self._call.hand_over(message):
                    await self._call.drained()
                self._taken(len(message))
            self._writer = None
            if self._last is not None:
                self._say_last()

    def _taken(self, size: int) -> None:
        self._hold(-size)
        self._end.taken(self.stream, size)
        if self._end.has_output:
            self._link.flush_soon()

    def _hold(self, size: int) -> None:
        self.held += size
        self._all_held.total += size

    def _say_last(self) -> None:
        assert self._last is not None  # noqa: S101 - only then
        self._call.finish(*self._last)
        self._be_over()

    def _be_over(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
