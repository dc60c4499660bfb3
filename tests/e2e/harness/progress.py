"""Progress lines with seconds, because a person watches the phases go by."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the program began; standard error, so output stays usable."""
    sys.stderr.write(f"[{time.monotonic() - _STARTED:6.1f}s] {text}\n")
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
