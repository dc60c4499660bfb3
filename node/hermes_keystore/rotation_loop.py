"""Fresh generation keys while a node or an app runs: one slice of a rotation at a time, between its commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hermes_core.keystore.rotation_timer import RotationTimer
from hermes_keystore.store import Keystore

CHECK_S: Final = 1.0


class RotationLoop:
    """One task. A rotation that an earlier process began goes on at once.

    `rotate_slice`: that of the keystore, wherever what blocks is done; `rotated` hears of the end of each rotation. `now` in
    seconds, of a clock that only rises.
    """

    def __init__(
        self,
        keystore: Keystore,
        rotate_slice: Callable[[], Awaitable[bool]],
        timer: RotationTimer,
        now: Callable[[], float],
        rotated: Callable[[], object],
    ) -> None:
        self._keystore = keystore
        self._rotate_slice = rotate_slice
        self._timer = timer
        self._now = now
        self._rotated = rotated

    async def run(self) -> None:
        """Until cancelled; raises what a keystore that fails does."""
        keystore = self._keystore
        while True:
            now = self._now()
            self._timer.note_deleted(keystore.deleted, now)
            if keystore.rotating or self._timer.is_due(keystore.records, now):
                self._timer.begin(now)
                await self._rotate()
            await asyncio.sleep(CHECK_S)

    async def _rotate(self) -> None:
        began = self._now()
        while not await self._rotate_slice():
            now = self._now()
            await asyncio.sleep(self._timer.pause_s(now - began, self._keystore.left_to_rotate, now))
            began = self._now()
        self._rotated()
