"""How long an app waits for the home of its chats before it takes them to another node."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes

SPREAD: Final = 0.3
"""The apps of a node that is gone do not all come at once: each waits up to so much longer, or less."""


class HomePatience:
    """Owns since when the home is away, and how long it is waited for. Times are those of one clock, in seconds."""

    def __init__(self, patience_s: float, random: RandomSource) -> None:
        self._patience_s = patience_s
        self._random = random
        self._ends_at: float | None = None

    def lose(self, now: float) -> None:
        """The stream to the home is gone. What was waited before counts."""
        if self._ends_at is None:
            share = int.from_bytes(generate_bytes(4, self._random), "big") / 2**32
            self._ends_at = now + self._patience_s * (1 - SPREAD + 2 * SPREAD * share)

    def regain(self) -> None:
        """A home stands."""
        self._ends_at = None

    def over(self, now: float) -> bool:
        """Another node may become home."""
        return self._ends_at is not None and now >= self._ends_at
