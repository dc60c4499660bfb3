"""A lock that one process of this machine holds at a time; it ends with the process, whatever happens."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import RefusedError
from .progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def refuse_second(path: Path, who: str) -> Iterator[None]:
    """Hold the lock, or fail at once when `who` holds it already."""
    with _held(path, who, wait=False):
        yield


@contextmanager
def wait_turn(path: Path, who: str) -> Iterator[None]:
    """Hold the lock, waiting for whoever holds it."""
    with _held(path, who, wait=True):
        yield


@contextmanager
def _held(path: Path, who: str, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        os.set_inheritable(lock.fileno(), False)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise RefusedError(f"{who} is at work", "wait for it to end") from None
            say(f"waiting for {who} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
