"""The write-ahead log: when it is folded into the database, and the proof that it really was.

An opening folds in what a crash left, before anything else. Only then is what was found durable: a commit that was written and
not synced is there for who opens the file, and gone after a power cut, when a witness may have been told of it. And a torn
commit's frames stay behind the log's end, where those that the next crash leaves beside them would be taken for damage.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from hermes_core.errors import KeystoreIOError
from hermes_keystore.place import wal_path

CHECKPOINT_AT_BYTES: Final = 4 << 20
"""A commit that finds the log longer than this folds it in; it bounds both the log and the time to recover."""

CHECKPOINT_WHILE_ROTATING_BYTES: Final = 1 << 20
"""What slices of a rotation write lies all over the database and takes long to fold in: less at a time."""

FSYNCS_OF_A_COMMIT: Final = 1
FSYNCS_OF_A_NEW_LOG: Final = 1  # SQLite syncs the log's own header once
FSYNCS_OF_A_CHECKPOINT: Final = 3  # log, database, and the truncated log


def log_bytes(path: Path) -> int:
    try:
        return wal_path(path).stat().st_size
    except FileNotFoundError:
        return 0


def truncate_log(connection: sqlite3.Connection, path: Path) -> None:
    """Fold the log into the database and cut it to nothing, durably.

    A checkpoint that could not finish reports busy and erases nothing: that is an error here, because old frames hold
    records that were deleted or sealed under a dropped generation.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy or log_bytes(path):
        raise KeystoreIOError("the write-ahead log could not be truncated: it is busy")
    sync_file(wal_path(path))


def sync_file(path: Path) -> None:
    """Fsync a file or directory that no SQLite lock is held on (closing a descriptor would drop it); absent is fine."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
