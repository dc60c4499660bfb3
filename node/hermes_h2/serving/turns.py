"""What strangers want done, in slices: handshakes of TLS and decoding of headers cost a thousand times what they cost them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLICE_S: Final = 0.002
"""Of one pass of the event loop; whoever has proved something waits for no longer than that."""


class StrangersTurns:
    """Work in the order in which it was asked for, each piece by a call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        end = self._loop.time() + SLICE_S
        try:
            while self._waiting:
                try:
                    self._waiting[0]()
                finally:
                    self._waiting.popleft()
                if self._loop.time() >= end:
                    break
        finally:  # a defect in one piece is the loop's to tell, and keeps nobody else waiting
            if self._waiting:
                self._loop.call_soon(self._run)
