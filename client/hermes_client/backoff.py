"""How long to wait before the next connection attempt: exponential, with full jitter."""

from __future__ import annotations

import math
import random
from dataclasses import field

from hermes_core.values import dataclass


@dataclass(slots=True)
class Backoff:
    """Attempt n waits a random time up to base x 2^n seconds, never above `cap_s`.

    Full jitter: after a node's restart its apps come back spread out, not all at once.
    """

    base_s: float = 0.1
    cap_s: float = 3.0
    attempts: int = 0
    random: random.Random = field(default_factory=random.SystemRandom, repr=False)

    def __post_init__(self) -> None:
        """ValueError for times that are none, or a cap below the base."""
        if not 0.0 < self.base_s <= self.cap_s < math.inf:
            raise ValueError(f"0 < base_s <= cap_s is needed, not {self.base_s} and {self.cap_s}")

    def next_delay_s(self) -> float:
        """The next wait in seconds; every call counts as one failed attempt."""
        ceiling = min(self.cap_s, self.base_s * 2 ** min(self.attempts, 30))
        self.attempts += 1
        return self.random.uniform(0.0, ceiling)

    def reset(self) -> None:
        """A connection stood: start again from `base_s`."""
        self.attempts = 0
