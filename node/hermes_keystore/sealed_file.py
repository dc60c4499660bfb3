"""The sealed file under a keystore: one transaction at a time, durable when it returns, fail-stop; its log and its floor."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from hermes_core.crypto.random import RandomSource
from hermes_core.errors import KeystoreError, KeystoreIOError, KeystoreTamperedError
from hermes_core.keystore.sealing import Sealers
from hermes_core.keystore.state import KeystoreMark
from hermes_keystore import wal
from hermes_keystore.atomic_file import FSYNCS_OF_A_REPLACEMENT
from hermes_keystore.database import as_keystore_error, close_untouched, translated
from hermes_keystore.floor_file import FloorFile
from hermes_keystore.lock import KeystoreLock
from hermes_keystore.place import OpenFiles
from hermes_keystore.unsealing import Unsealed, read_header, read_state


class SealedFile:
    """Owns the writing connection, the keys and the lock.

    After an error inside a transaction it refuses every further use (fail-stop): what the disk holds is then unknown, and
    only opening the file anew can tell.
    """

    def __init__(
        self,
        path: Path,
        lock: KeystoreLock,
        connection: sqlite3.Connection,
        unsealed: Unsealed,
        random: RandomSource,
        files: OpenFiles,
    ) -> None:
        self.path = path
        self.fsyncs = 0
        self._lock = lock
        self._files = files
        self._connection = connection
        self._unsealed = unsealed
        self._random = random
        self._sealers = Sealers(unsealed.keys, unsealed.former)
        self._failure: KeystoreError | None = None
        self._closed = False
        self._log_is_new = True
        self._floor: FloorFile | None = None

    @property
    def mark(self) -> KeystoreMark:
        """Generation and commit counter, for a witness outside to remember."""
        return KeystoreMark(self._unsealed.keys.generation, self._unsealed.state.commit_counter)

    @property
    def file_id(self) -> bytes:
        return self._unsealed.header.file_id

    @property
    def size_bytes(self) -> int:
        """Database and write-ahead log."""
        return self.path.stat().st_size + wal.log_bytes(self.path)

    def close(self) -> None:
        """Fold the log in, wipe every key and let go of the file; harmless when repeated."""
        if self._closed:
            return
        try:
            if self._failure is None:
                with self._fail_stop():
                    self._truncate_log()
                    self._write_floor(last=True)
        finally:
            self._close_database()
            self._lock.release()

    def _close_database(self) -> None:
        self._closed = True
        self._unsealed.wipe()
        if self._floor is not None:
            self._floor.wipe()
        with contextlib.suppress(sqlite3.Error):
            try:
                self._files.check()
            except KeystoreIOError:
                close_untouched(self._connection)
            else:
                self._connection.close()

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise KeystoreIOError(f"the keystore stopped after an error: {self._failure.detail}")
        if self._closed:
            raise KeystoreIOError("the keystore is closed")

    def _check_unchanged(self) -> None:
        """What was verified through one connection is what this one sees."""
        with translated():
            header = read_header(self._connection)
            state = read_state(self._connection, self._unsealed.keys, header)
        if header.raw != self._unsealed.header.raw or state != self._unsealed.state:
            raise KeystoreTamperedError("the keystore changed while it was being opened")

    def _transact(self, write: Callable[[], Unsealed]) -> None:
        """Run `write` in a transaction and adopt its result only when that is durable. A header it replaced is in no log."""
        with self._fail_stop():
            self._files.check()
            self._connection.execute("BEGIN IMMEDIATE")
            renewed = write()
            self._connection.execute("COMMIT")
            self._files.check()  # or it is durable where nobody looks for it
            first, self._log_is_new = self._log_is_new, False
            self.fsyncs += wal.FSYNCS_OF_A_COMMIT + (wal.FSYNCS_OF_A_NEW_LOG if first else 0)
            replaced = renewed.header is not self._unsealed.header
            self._adopt(renewed)
            self._write_floor(first=first)
            bound = wal.CHECKPOINT_AT_BYTES if renewed.former is None else wal.CHECKPOINT_WHILE_ROTATING_BYTES
            if replaced or wal.log_bytes(self.path) >= bound:
                self._truncate_log()

    def _write_floor(self, *, first: bool = False, last: bool = False) -> None:
        """After the first commit of a log, before it is answered; then from time to time; and when all is folded in."""
        floor, counter = self._floor, self._unsealed.state.commit_counter
        if floor is None:
            return
        if first or (last and floor.is_behind(counter)):
            floor.write(counter, durably=True)
            self.fsyncs += FSYNCS_OF_A_REPLACEMENT
        elif floor.is_due(counter):
            floor.write(counter, durably=False)

    def _adopt(self, renewed: Unsealed) -> None:
        """Use `renewed` from now on; keys it no longer has are wiped."""
        before, self._unsealed = self._unsealed, renewed
        if renewed.keys is not before.keys or renewed.former is not before.former:
            self._sealers = Sealers(renewed.keys, renewed.former)
        for keys in (before.keys, before.former):
            if keys is not None and keys is not renewed.keys and keys is not renewed.former:
                keys.wipe()
        if renewed.master is not before.master:
            before.master.wipe()

    def _truncate_log(self) -> None:
        self._files.check()
        if wal.log_bytes(self.path):
            wal.truncate_log(self._connection, self.path)
            self.fsyncs += wal.FSYNCS_OF_A_CHECKPOINT
            self._log_is_new = True

    @contextlib.contextmanager
    def _fail_stop(self) -> Iterator[None]:
        """Whatever goes wrong inside ends the use of this keystore: the transaction is rolled back and nothing follows it."""
        try:
            yield
        except BaseException as error:
            failure = as_keystore_error(error)
            self._failure = failure or KeystoreIOError(f"interrupted by {type(error).__name__}")
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if failure is not None and failure is not error:
                raise failure from None
            raise
