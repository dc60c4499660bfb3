"""Waiting on a condition with a deadline: the only way the harness lets time pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from .errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

POLL_INTERVAL_S = 0.1


def until(
    what: str,
    condition: Callable[[], T | None],
    *,
    within_s: float,
    cure: str,
    poll_s: float = POLL_INTERVAL_S,
) -> T:
    """Return the first truthy value of `condition`, or fail with `cure` when `within_s` has passed."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise HarnessError(f"{what} did not happen within {within_s:.0f}s", cure)
        time.sleep(poll_s)
