"""A bounded queue of messages for one stream: whatever is ready leaves as one batch, nothing waits to fill one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from hermes_wire.app import MAX_BATCH_FRAMES
from hermes_wire.sizes import estimate_bytes

T = TypeVar("T")

MAX_WRITE_BYTES: Final = 1024 * 1024
"""Below the protocol's bound: a write is what a stream whose reader stopped goes on holding."""

LAST_WORDS_S: Final = 2.0


class StreamStuckError(Exception):
    """The other side does not read, not even the last words."""


class Outbox(Generic[T]):
    """One writer takes batches; anybody on the loop puts. `put` says False when a bound is reached: the reader is too slow."""

    def __init__(self, *, max_frames: int, max_bytes: int, measure: Callable[[T], int] = estimate_bytes) -> None:
        self._measure = measure
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._waiting: deque[T] = deque()
        self._bytes = 0
        self._closed = False
        self._on_close: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: T) -> bool:
        """Queue a message; False (and nothing queued) beyond a bound. After `close` messages are dropped."""
        if self._closed:
            return True
        size = self._measure(message)
        if len(self._waiting) >= self._max_frames or self._bytes + size > self._max_bytes:
            return False
        self._waiting.append(message)
        self._bytes += size
        self._wake()
        return True

    def close(self, last: T | None = None, *, discard: bool = False) -> None:
        """Let the writer send what waits (nothing, with `discard`) and then `last`, and end."""
        if self._closed:
            return
        if discard:
            self._waiting.clear()
            self._bytes = 0
        if last is not None:
            self._waiting.append(last)
        self._closed = True
        if self._on_close is not None:
            self._on_close()
        self._wake()

    async def drain(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        """Hand every batch to `write` until the outbox is closed and empty.

        Once it is closed, what is left has LAST_WORDS_S to leave: a reader that stopped blocks `write` for ever.
        StreamStuckError when that was not enough.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LAST_WORDS_S if self._closed else None) as deadline:
                self._on_close = lambda: deadline.reschedule(loop.time() + LAST_WORDS_S)
                while batch := await self.take():
                    await write(batch)
        except TimeoutError:
            raise StreamStuckError from None
        finally:
            self._on_close = None

    async def take(self) -> list[T]:
        """The next batch, at most MAX_BATCH_FRAMES and MAX_WRITE_BYTES; empty when closed and everything was taken."""
        while not self._waiting:
            if self._closed:
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch: list[T] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH_FRAMES:
            next_size = self._measure(self._waiting[0])
            if batch and size + next_size > MAX_WRITE_BYTES:
                break
            size += next_size
            batch.append(self._waiting.popleft())
        self._bytes = max(0, self._bytes - size)
        return batch

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """What may wait to be written to one stream."""

    frames: int
    size_bytes: int

    def build_outbox(self) -> Outbox[Any]:
        return Outbox(max_frames=self.frames, max_bytes=self.size_bytes)
