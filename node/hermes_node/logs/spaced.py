"""What comes again and again is told once a minute for each key, with how many were not: a flood of one hides no other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

AGAIN_S: Final = 60.0
MAX_TOLD: Final = 1024
"""Keys that are remembered."""

K = TypeVar("K", bound=Hashable)


class SpacedLines(Generic[K]):
    """`clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: OrderedDict[K, tuple[float, int]] = OrderedDict()
        """The one that was told longest ago first: when, and how many were not since."""

    def __len__(self) -> int:
        return len(self._told)

    def take(self, key: K) -> int | None:
        """How many were not told since the last one that was; None: nor is this one."""
        now = self._clock()
        at, untold = self._told.get(key, (now - AGAIN_S, 0))
        if now - at < AGAIN_S:
            self._told[key] = at, untold + 1
            return None
        self._told[key] = now, 0
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return untold
