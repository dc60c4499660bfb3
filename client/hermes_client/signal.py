"""Wake every waiter of one event loop when something changed; each looks at its own condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Like asyncio.Condition, without a lock: notify() is plain code of the same event loop, so nothing can slip between."""

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], None] = {}  # in the order of their coming

    def notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return as soon as `condition()` holds; it is looked at now and after every notify()."""
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            try:
                await waiter
            finally:
                self._waiters.pop(waiter, None)
