"""How long an app waits for the home of its chats before it takes them to another node."""

from __future__ import annotations

import math
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes

SPREAD: Final = 0.3
"""The apps of a node that is gone do not all come at once: each waits up to so much longer, or less."""
MAX_PROMISE_S: Final = 3600
"""A home that restarts may ask for so much time at most."""
MOVE_SPREAD_S: Final = 2.0
"""The apps of a node that leaves for good do not all move at once: each goes within so long of being told."""


def spread(wait_s: float, random: RandomSource) -> float:
    """`wait_s`, up to SPREAD longer or shorter."""
    return wait_s * (1 - SPREAD + 2 * SPREAD * _draw(random))


def _draw(random: RandomSource) -> float:
    """From 0 to 1."""
    return int.from_bytes(generate_bytes(4, random), "big") / 2**32


class HomePatience:
    """Owns since when the home is away, and how long it is waited for. Times are those of one clock, in seconds."""

    def __init__(self, patience_s: float, random: RandomSource) -> None:
        self._patience_s = patience_s
        self._random = random
        self._ends_at: float | None = None
        self._promised_until: float | None = None
        self._for_good = False

    def lose(self, now: float, at_most_s: float = math.inf) -> None:
        """The stream to the home is gone. What was waited before counts; what the home promised comes first.

        `at_most_s`: before the spread.
        """
        if self._ends_at is None:
            begins = now if self._promised_until is None else max(now, self._promised_until)
            self._ends_at = begins + spread(min(self._patience_s, at_most_s), self._random)

    def promise(self, now: float, back_within_s: float) -> None:
        """The home restarts: it is back by then."""
        self._promised_until = now + min(back_within_s, MAX_PROMISE_S)

    def give_up(self) -> float:
        """The home leaves for good: another one may take its place from now on. In how many seconds this app does."""
        self._for_good = True
        return MOVE_SPREAD_S * _draw(self._random)

    def end(self, now: float) -> None:
        """Nothing is to be had from this home: another one may be tried at once."""
        self._ends_at = now

    def regain(self) -> None:
        """A home stands."""
        self._ends_at = self._promised_until = None
        self._for_good = False

    def over(self, now: float) -> bool:
        """Another node may become home."""
        return self._for_good or (self._ends_at is not None and now >= self._ends_at)
