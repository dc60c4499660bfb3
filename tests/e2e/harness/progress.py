"""Progress for a person: lines with seconds, and on a terminal a live line below them that says what is under way."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STARTED = time.monotonic()
_WRITING = threading.Lock()
_CLEAR = "\r\x1b[K"
REDRAW_S = 0.25
REPEAT_S = 20.0  # where there is no terminal, a log that says nothing for long looks hung


def say(text: str) -> None:
    """Print one line with the seconds since the program began; standard error, so output stays usable."""
    with _WRITING:
        sys.stderr.write(f"{_CLEAR if sys.stderr.isatty() else ''}[{time.monotonic() - _STARTED:6.1f}s] {text}\n")
        sys.stderr.flush()


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Announce a phase, and say at its end how long it took or that it failed."""
    began = time.monotonic()
    say(f"{name} …")
    try:
        yield
    except BaseException:
        say(f"{name} FAILED after {time.monotonic() - began:.1f}s")
        raise
    say(f"{name} done in {time.monotonic() - began:.1f}s")


@contextmanager
def live_line(describe: Callable[[], str]) -> Iterator[None]:
    """Keep showing what `describe` returns until the block ends; without a terminal, as a line now and then."""
    ended = threading.Event()
    terminal = sys.stderr.isatty()

    def show() -> None:
        while not ended.wait(REDRAW_S if terminal else REPEAT_S):
            if terminal:
                _redraw(describe())
            else:
                say(f"… {describe()}")

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        ended.set()
        shower.join()
        if terminal:
            _redraw("")


def _redraw(text: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    with _WRITING:
        sys.stderr.write(_CLEAR + text[:width])
        sys.stderr.flush()
