"""Backoff: full jitter under an exponential ceiling."""

from __future__ import annotations

import random

from hermes_client.backoff import Backoff


class _Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_ceiling_doubles_up_to_the_cap_and_starts_over_after_reset() -> None:
    backoff = Backoff(base_s=0.1, cap_s=1.0, random=_Highest())
    assert [backoff.next_delay_s() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_delay_s() == 0.1


def test_delays_are_spread_over_the_whole_range() -> None:
    backoff = Backoff(base_s=1.0, cap_s=1.0, random=random.Random(7))
    delays = [backoff.next_delay_s() for _ in range(200)]
    assert 0.0 <= min(delays) < 0.1
    assert 0.9 < max(delays) <= 1.0


def test_many_attempts_do_not_overflow() -> None:
    backoff = Backoff(attempts=100_000, random=_Highest())
    assert backoff.next_delay_s() == backoff.cap_s
