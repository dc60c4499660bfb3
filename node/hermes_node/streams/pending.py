"""How many frames wait for the chat machine; beyond a bound the stream they came on is not read."""

from __future__ import annotations

import asyncio
from typing import Final

from hermes_node.streams.grpc_options import MAX_PENDING_FRAMES

MAX_WAITING_FRAMES: Final = 16384
"""Frames of all streams that may wait; beyond, only what has nothing waiting is read, so that nobody waits for room that
others have taken."""


class Backlog:
    """Counts the frames of all streams."""

    __slots__ = ("frames",)

    def __init__(self) -> None:
        self.frames = 0


class PendingFrames:
    """Counts what was posted and not processed yet. One flooding stream fills its own share, not the inbox of everybody.

    `stranger`: nothing more is read of a stream until the first that came was handled; then whoever sent it is known, or gone.
    """

    def __init__(self, backlog: Backlog, limit: int = MAX_PENDING_FRAMES, *, stranger: bool = False) -> None:
        self._backlog = backlog
        self._limit = 0 if stranger else limit
        self._later_limit = limit
        self._count = 0
        self._room = asyncio.Event()
        self._room.set()

    def posted(self, frames: int) -> None:
        self._count += frames
        self._backlog.frames += frames
        if self._count > self._limit or self._backlog.frames > MAX_WAITING_FRAMES:
            self._room.clear()

    def processed(self, frames: int) -> None:
        self._limit = self._later_limit
        self._count -= frames
        self._backlog.frames -= frames
        if not self._count or (self._count <= self._limit and self._backlog.frames <= MAX_WAITING_FRAMES):
            self._room.set()

    async def wait_for_room(self) -> None:
        """Return once few enough frames wait."""
        await self._room.wait()
