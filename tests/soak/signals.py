"""What a signal does to a run: it ends in order, however many signals come, and until its process has ended."""

from __future__ import annotations

import asyncio
import atexit
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_in_order() -> None:
    """SIGTERM and SIGINT cancel the task that calls this, once: a second one would cancel the end of the processes as well.

    The handlers stay when the loop is closed: those of a loop give way to Python's own, and a signal that comes late would end
    the process with what is left undone.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel_once() -> None:
        if not task.cancelling():
            task.cancel()

    def take(_number: int, _frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(cancel_once)

    for how in SIGNALS:
        signal.signal(how, take)
    atexit.register(_ignore)


def _ignore() -> None:
    """An interpreter that ends gives handlers back to the system, but none that ignores."""
    for how in SIGNALS:
        signal.signal(how, signal.SIG_IGN)
