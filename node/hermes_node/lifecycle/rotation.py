"""Fresh generation keys for a running node: one slice of a rotation at a time, between the commits of chats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hermes_core.keystore.rotation_timer import RotationTimer
from hermes_node.chats.store import ChatStore
from hermes_node.logs.event_log import EventLog

CHECK_S: Final = 1.0


class Rotation:
    """One task. A rotation that an earlier process began goes on at once."""

    def __init__(self, store: ChatStore, timer: RotationTimer, now: Callable[[], float], log: EventLog) -> None:
        self._store = store
        self._timer = timer
        self._now = now
        self._log = log

    async def run(self) -> None:
        """Until cancelled; a keystore that fails ends the node."""
        keystore = self._store.keystore
        while True:
            now = self._now()
            self._timer.note_deleted(keystore.deleted, now)
            if keystore.rotating or self._timer.is_due(keystore.records, now):
                self._timer.begin(now)
                await self._rotate()
            await asyncio.sleep(CHECK_S)

    async def _rotate(self) -> None:
        keystore, began = self._store.keystore, self._now()
        while not await self._store.rotate_slice():
            now = self._now()
            await asyncio.sleep(self._timer.pause_s(now - began, keystore.left_to_rotate, now))
            began = self._now()
        self._log.info("keystore_rotated", generation=self._store.mark.generation)
