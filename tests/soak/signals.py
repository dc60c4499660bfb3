"""What a signal does to a run: it ends in order, however many signals come."""

from __future__ import annotations

import asyncio


def cancel_once(task: asyncio.Task[object]) -> None:
    """A second signal would cancel the end of the processes as well."""
    if not task.cancelling():
        task.cancel()
