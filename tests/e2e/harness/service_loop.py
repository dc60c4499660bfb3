"""The loop of the harness's own background processes: do, wait, repeat, end on SIGTERM."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING

from .errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def repeat_until_term(act: Callable[[], None], *, every_s: float) -> None:
    """Call `act` again and again; a failure is logged, and the next call repeats what failed."""
    stop = threading.Event()

    def on_term(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_term)
    while not stop.wait(every_s):
        try:
            act()
        except (HarnessError, KeyError, json.JSONDecodeError) as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
