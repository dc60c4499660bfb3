"""What is being made in the cache: beside its place, on the same disk, and away again when it did not become whole."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import say
from .remains import unmount_below

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """Give a path that is this process's; what is still there at the end of the block, not renamed to `target`, is removed.

    What processes that were killed have left, for whatever version of `target`, is removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in find_stale(target):
        say(f"removing {stale}, of a build that was killed")
        _remove(stale)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        yield partial
    finally:
        _remove(partial)


def find_stale(target: Path) -> list[Path]:
    """Return what no living process is making: names of the same kind (up to the first dash) that end with a pid."""
    kind = target.name.partition("-")[0]
    found = [(path, re.search(r"\.(\d+)$", path.name)) for path in sorted(target.parent.glob(f"{kind}-*"))]
    return [path for path, pid in found if pid and (int(pid[1]) == os.getpid() or not Path(f"/proc/{pid[1]}").exists())]


def _remove(path: Path) -> None:
    if path.is_dir():
        unmount_below(path)  # debootstrap mounts /proc in it
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
