"""How long an app hears nothing while messages flow to it without a break: the longest silence."""

from __future__ import annotations

import asyncio


class Silence:
    """One app's, in seconds, while it is measured."""

    def __init__(self) -> None:
        self._heard_at: float | None = None
        self.longest_s: float | None = None
        """Between two messages, in the time that was measured; None: it never was. What goes on counts once it has ended."""

    def measure(self) -> None:
        """Forget what was: messages flow from now on."""
        self.longest_s = 0.0
        self._heard_at = asyncio.get_running_loop().time()

    def heard(self) -> None:
        """A message arrived."""
        if self._heard_at is not None:
            now = asyncio.get_running_loop().time()
            self.longest_s = max(self.longest_s or 0.0, now - self._heard_at)
            self._heard_at = now

    def stop(self) -> None:
        """Messages need not flow any more; what was measured stays."""
        self._heard_at = None
