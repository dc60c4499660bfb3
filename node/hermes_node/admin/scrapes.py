"""/metrics for whoever asks: one answer costs this node as much as dozens of messages, and anybody may ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from hermes_core.token_bucket import TokenBucket

BURST_MS: Final = 50
SHARE: Final = 0.05
"""Of a core: what rendering may cost besides the burst."""
FRESH_S: Final = 1.0
"""So old an answer may be that is given again."""
MAX_KEPT: Final = 8

Rendered = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class _Scraped:
    at: float
    rendered: Rendered


class Scrapes:
    """Renders anew while that is within its share of a core; then gives what was rendered within the last second.

    In the format asked for where it has that one, else in the plain one, which every scraper reads.
    """

    def __init__(self, render: Callable[[str], Rendered], clock: Callable[[], float] = perf_counter) -> None:
        """`render`: from the `Accept` header; `clock` in seconds."""
        self._render = render
        self._clock = clock
        self._budget = TokenBucket(BURST_MS, 0.001 / SHARE, clock())
        self._kept: dict[str, _Scraped] = {}

    def answer(self, accept: str) -> Rendered:
        now = self._clock()
        if self._budget.peek(now):
            for known in (accept, ""):
                kept = self._kept.get(known)
                if kept is not None and now - kept.at < FRESH_S:
                    return kept.rendered
            accept = ""
        rendered = self._render(accept)
        after = self._clock()
        self._budget.take(math.ceil((after - now) * 1000))
        self._kept.pop(accept, None)
        self._kept[accept] = _Scraped(after, rendered)
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return rendered
