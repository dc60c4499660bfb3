"""Keystore: the sealed file of one node. Synchronous; the node calls it from one worker thread."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreError, KeystoreIOError, KeystoreTamperedError
from hermes_core.keystore.key_backend import KeyBackend, PassphraseBackend
from hermes_core.keystore.lineage import MarkVerdict, encode_lineage, judge_mark
from hermes_core.keystore.mark import Mark
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.rollback import Rollback, encode_rollback
from hermes_core.keystore.sealing import RecordSealer
from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.tables import Table
from hermes_node.keystore import wal
from hermes_node.keystore.atomic_file import FSYNCS_OF_A_REPLACEMENT
from hermes_node.keystore.creation import write_new_keystore
from hermes_node.keystore.database import (
    DATABASE_ERRORS,
    PAGE_BYTES,
    Connector,
    as_keystore_error,
    check_files,
    connect_sqlite,
    leave_open,
    open_for_writing,
    translate_error,
    translated,
    wal_path,
)
from hermes_node.keystore.erasure import erase_file
from hermes_node.keystore.floor_file import FloorFile, read_floor
from hermes_node.keystore.history import LINEAGE, ROLLBACK, History
from hermes_node.keystore.lock import KeystoreLock
from hermes_node.keystore.place import OpenFiles, resolve_path
from hermes_node.keystore.rotation import rewrap_master, rotate_rows
from hermes_node.keystore.rows import apply_rows, find_row, read_rows
from hermes_node.keystore.unsealing import Unsealed, read_header, read_state, verify_file

Puts = Mapping[tuple[Table, bytes], bytes | bytearray]
Deletes = Collection[tuple[Table, bytes]]


class Keystore:
    """An open keystore. Values it hands out are bytearrays the caller wipes.

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
        """For `create` and `open`."""
        self.path = path
        self.fsyncs = 0
        self._lock = lock
        self._files = files
        self._connection = connection
        self._unsealed = unsealed
        self._random = random
        self._sealer = RecordSealer(unsealed.keys)
        self._failure: KeystoreError | None = None
        self._closed = False
        self._log_is_new = True
        self._history: History | None = None
        self._floor: FloorFile | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        passphrase: SecretBytes,
        *,
        argon2: Argon2Params | None = None,
        backend: KeyBackend | None = None,
        page_bytes: int = PAGE_BYTES,
        connect: Connector = connect_sqlite,
        random: RandomSource = SYSTEM_RANDOM,
        now: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Make a new keystore and open it. KeystoreExistsError when there is one: it is never overwritten.

        `now` in seconds, of a clock that only rises.
        """
        path, backend = resolve_path(Path(path)), backend or PassphraseBackend(passphrase, argon2)
        with _locked(path) as lock:
            write_new_keystore(path, backend, page_bytes, connect, random)
            return cls._open_locked(path, lock, backend, connect, random, now)

    @classmethod
    def open(
        cls,
        path: str | Path,
        passphrase: SecretBytes,
        *,
        backend: KeyBackend | None = None,
        connect: Connector = connect_sqlite,
        random: RandomSource = SYSTEM_RANDOM,
        now: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Verify everything, then open, and migrate older records. On any KeystoreError no byte of the file was changed."""
        path = resolve_path(Path(path))
        check_files(path)
        with _locked(path) as lock:
            return cls._open_locked(path, lock, backend or PassphraseBackend(passphrase), connect, random, now)

    @classmethod
    def _open_locked(
        cls,
        path: Path,
        lock: KeystoreLock,
        backend: KeyBackend,
        connect: Connector,
        random: RandomSource,
        now: Callable[[], float],
    ) -> Self:
        unsealed = verify_file(path, backend, connect)
        try:
            files = OpenFiles(path, wal_path(path))
            connection = open_for_writing(path, connect)
        except DATABASE_ERRORS as error:
            unsealed.wipe()
            raise translate_error(error) from None
        except BaseException:
            unsealed.wipe()
            raise
        store = cls(path, lock, connection, unsealed, random, files)
        try:
            files.pin_log()
            store._check_unchanged()
            with store._fail_stop():
                store._truncate_log()  # what a crash left: see wal.py
            store._begin(now)
            if unsealed.census.outdated:
                store.rotate_generation()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def mark(self) -> KeystoreMark:
        """Generation and commit counter, for a witness outside to remember."""
        return KeystoreMark(self._unsealed.keys.generation, self._unsealed.state.commit_counter)

    @property
    def open_id(self) -> bytes:
        """16 bytes, random at each opening; no other copy of this keystore has the same."""
        return self._begun.lineage.current.open_id

    @property
    def rollback(self) -> Rollback | None:
        """Proof that this keystore is an older copy, on which nobody has acted yet; durable until `settle_rollback`."""
        return self._begun.rollback

    @property
    def file_id(self) -> bytes:
        return self._unsealed.header.file_id

    @property
    def size_bytes(self) -> int:
        """Database and write-ahead log."""
        return self.path.stat().st_size + wal.log_bytes(self.path)

    def record_count(self, table: Table) -> int:
        return self._unsealed.census.by_table.get(table, 0)

    def load(self, table: Table) -> Iterator[tuple[bytes, bytearray]]:
        """Every record of a table as (key, value), in no meaningful order; commits in between are allowed."""
        self._check_usable()
        with translated():
            for row_key, tbl, version, sealed in read_rows(self._connection, table):
                yield self._sealer.open(row_key, tbl, version, sealed)
                self._check_usable()

    def get(self, table: Table, key: bytes) -> bytearray | None:
        """One record, or None."""
        self._check_usable()
        with translated():
            row = find_row(self._connection, self._sealer.derive_row_key(table, key))
        return None if row is None else self._sealer.open(row.row_key, row.table, row.version, row.sealed)[1]

    def commit(self, puts: Puts, deletes: Deletes = ()) -> KeystoreMark:
        """Write and delete records in one transaction, durable when this returns; `puts` stays the caller's to wipe.

        A key in both is put. Nothing to do is no transaction.
        """
        return self._commit_at(0, puts, deletes)

    def _commit_at(self, counter: int, puts: Puts, deletes: Deletes = ()) -> KeystoreMark:
        """`commit`, after which the commit counter is `counter` if that is higher than one up."""
        self._check_usable()
        if not puts and not deletes:
            return self.mark
        rows = [
            self._sealer.seal(table, key, RECORD_VERSIONS[table], value, self._random) for (table, key), value in puts.items()
        ]
        removed = [self._sealer.derive_row_key(table, key) for table, key in deletes]
        self._transact(lambda: apply_rows(self._connection, self._unsealed, rows, removed, self._random, counter))
        return self.mark

    def judge(self, mark: Mark, node_key: bytes) -> MarkVerdict:
        """What a mark that somebody hands back says; `node_key` (32 bytes) is the node's present one.

        A rollback is noted at once and durably, counting goes on above the mark, and `rollback` waits for who acts on it.
        """
        self._check_usable()
        history, ours = self._begun, self.mark.commit_counter
        verdict, rollback = self._judge(mark, node_key)
        if rollback is not None:
            counter = max(ours, mark.commit_counter) + 1
            noted = history.lineage.note(mark, counter)
            self._commit_at(counter, {LINEAGE: encode_lineage(noted), ROLLBACK: encode_rollback(rollback)})
            history.lineage, history.rollback = noted, rollback
        return verdict

    def foresee(self, mark: Mark, node_key: bytes) -> MarkVerdict:
        """What `judge` would say now, from what is in memory; nothing changes."""
        return self._judge(mark, node_key)[0]

    def _judge(self, mark: Mark, node_key: bytes) -> tuple[MarkVerdict, Rollback | None]:
        lineage = self._begun.lineage
        return judge_mark(lineage, self.mark.commit_counter, {node_key} | lineage.former_keys, mark)

    def settle_rollback(self) -> None:
        """Somebody acted on `rollback`, durably: the same proof tells nothing any more."""
        if self._begun.rollback is not None:
            self.commit({}, [ROLLBACK])
            self._begun.rollback = None

    def rotate_generation(self) -> None:
        """Re-seal every live record under a new key and forget the old one: older copies then open to nobody."""
        self._check_usable()
        self._transact(lambda: rotate_rows(self._connection, self._unsealed, self._random), truncate=True)

    def rotate_passphrase(self, new: SecretBytes, *, argon2: Argon2Params | None = None) -> None:
        """Seal the keystore with another passphrase; records are not touched."""
        self.rewrap(PassphraseBackend(new, argon2))

    def rewrap(self, backend: KeyBackend) -> None:
        """Seal the keystore with another key backend; records are not touched."""
        self._check_usable()
        self._transact(lambda: rewrap_master(self._connection, self._unsealed, backend, self._random), truncate=True)

    def wipe(self) -> None:
        """Close, overwrite and remove the file; nothing of this keystore can be opened afterwards."""
        if self._closed:
            raise KeystoreIOError("the keystore is closed")
        with self._fail_stop():
            self._files.check()
        self._close_database()
        try:
            erase_file(self.path)
        except OSError as error:
            raise KeystoreIOError(f"cannot erase {self.path}: {error.strerror}") from None
        finally:
            self._lock.release(remove=not self.path.exists())

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_database(self) -> None:
        self._closed = True
        self._unsealed.wipe()
        if self._floor is not None:
            self._floor.wipe()
        try:
            self._files.check()
        except KeystoreIOError:
            leave_open(self._connection)
            return
        with contextlib.suppress(sqlite3.Error):
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

    def _transact(self, write: Callable[[], Unsealed], *, truncate: bool = False) -> None:
        """Run `write` in a transaction and adopt its result only when that is durable."""
        with self._fail_stop():
            self._files.check()
            self._connection.execute("BEGIN IMMEDIATE")
            renewed = write()
            self._connection.execute("COMMIT")
            self._files.check()  # or it is durable where nobody looks for it
            first, self._log_is_new = self._log_is_new, False
            self.fsyncs += wal.FSYNCS_OF_A_COMMIT + (wal.FSYNCS_OF_A_NEW_LOG if first else 0)
            self._adopt(renewed)
            self._write_floor(first=first)
            if truncate or wal.log_bytes(self.path) >= wal.CHECKPOINT_AT_BYTES:
                self._truncate_log()

    def _begin(self, now: Callable[[], float]) -> None:
        """Commit this opening, with what the file beside it proves, before anything else is; then raise the floor."""
        beside = read_floor(self.path)
        self._history = history = History.read(self.get, beside, self.file_id, self.mark.commit_counter, self._random)
        self._floor = FloorFile(self.path, history.floor.key, self.file_id, now, self._random)
        self._commit_and_wipe(history.puts())
        if not history.floor.armed:
            self._commit_and_wipe(history.arm())

    def _commit_and_wipe(self, puts: Puts) -> None:
        try:
            self.commit(puts)
        finally:
            for value in puts.values():
                if isinstance(value, bytearray):
                    wipe_buffer(value)

    @property
    def _begun(self) -> History:
        if self._history is None:
            raise KeystoreIOError("the keystore is not open yet")
        return self._history

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
        if renewed.keys is not self._unsealed.keys:
            self._unsealed.keys.wipe()
            self._sealer = RecordSealer(renewed.keys)
        if renewed.master is not self._unsealed.master:
            self._unsealed.master.wipe()
        self._unsealed = renewed

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


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[KeystoreLock]:
    """The lock, released again unless what is inside succeeds (then the keystore owns it)."""
    lock = KeystoreLock(path)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
