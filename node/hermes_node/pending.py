"""How many frames of one stream wait for the chat machine; beyond a bound the stream is not read."""

from __future__ import annotations

import asyncio

from hermes_node.limits import MAX_PENDING_FRAMES


class PendingFrames:
    """One flooding stream fills its own share, not the inbox of everybody."""

    def __init__(self) -> None:
        self._count = 0
        self._room = asyncio.Event()
        self._room.set()

    def posted(self, frames: int) -> None:
        self._count += frames
        if self._count > MAX_PENDING_FRAMES:
            self._room.clear()

    def processed(self, frames: int) -> None:
        self._count -= frames
        if self._count <= MAX_PENDING_FRAMES:
            self._room.set()

    async def wait_for_room(self) -> None:
        """Return once few enough frames wait."""
        await self._room.wait()
