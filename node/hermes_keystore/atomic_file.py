"""A small file that is replaced as a whole: whoever reads it finds the former content or the new one, after any crash."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from hermes_keystore.wal import sync_file

FSYNCS_OF_A_REPLACEMENT = 2  # the new file, and its folder


def draft_path(path: Path) -> Path:
    """Where the new content is until it is whole; whatever lies there belongs to nobody."""
    return path.with_name(path.name + ".new")


def replace_file(path: Path, data: bytes) -> None:
    """`data` is durable at `path` when this returns. OSError when the volume fails; the former content stays then."""
    draft = draft_path(path)
    write_draft(draft, data)
    sync_file(draft)
    draft.rename(path)
    sync_file(path.parent)


def write_draft(path: Path, data: bytes) -> None:
    """Neither durable nor whole before it is synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Part of a file that is there, not durable when this returns; within one sector a power cut does it whole or not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.pwrite(descriptor, data, offset) != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    finally:
        os.close(descriptor)
