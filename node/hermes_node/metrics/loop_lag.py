"""How late the event loop runs what is due: the node's one measure of saturation."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

SAMPLE_INTERVAL_S: Final = 0.5
LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Run `sample()` as a task for as long as the node lives."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "hermes_event_loop_lag_seconds",
            "How late a timer of the event loop fired; sampled twice a second.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )

    async def sample(self, interval_s: float = SAMPLE_INTERVAL_S) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + interval_s
            await asyncio.sleep(interval_s)
            self._seconds.observe(max(0.0, loop.time() - due))
