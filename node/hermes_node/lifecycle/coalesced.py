"""Many requests in a short time as one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Coalesced:
    """Calls a function soon after it was asked for; many requests until then are one call."""

    def __init__(self, call: Callable[[], None], delay_s: float) -> None:
        self._call = call
        self._delay_s = delay_s
        self._timer: asyncio.TimerHandle | None = None

    def request(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay_s, self._run)

    def _run(self) -> None:
        self._timer = None
        self._call()
