"""When a peer that could not be reached is dialled again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

BACKOFF_BASE_S: Final = 0.1
BACKOFF_CAP_S: Final = 5.0


@dataclass(slots=True)
class DialState:
    """How often dialling a peer failed in a row, and when to try again."""

    incarnation: int
    failures: int = 0
    next_at: float = 0.0

    def failed(self, now: float) -> None:
        # Full jitter: after a restart a node's peers come back spread out, not all at once.
        delay_s = random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**self.failures))  # noqa: S311 - not a secret
        self.failures = min(self.failures + 1, 16)
        self.next_at = now + delay_s
