"""Keystore: the sealed file of one node or app. Synchronous; whoever owns it calls it from one worker thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreError, KeystoreIOError
from hermes_core.keystore.key_backend import KeyBackend, PassphraseBackend
from hermes_core.keystore.lineage import MarkVerdict, encode_lineage, judge_mark
from hermes_core.keystore.mark import Mark
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.rollback import Rollback, encode_rollback
from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.tables import Table
from hermes_keystore.creation import write_new_keystore
from hermes_keystore.database import (
    DATABASE_ERRORS,
    PAGE_BYTES,
    Connector,
    check_files,
    connect_sqlite,
    open_for_writing,
    translate_error,
    translated,
)
from hermes_keystore.erasure import erase_file
from hermes_keystore.floor_file import FloorFile, read_floor
from hermes_keystore.history import LINEAGE, ROLLBACK, History
from hermes_keystore.lock import KeystoreLock, lock_path, locked
from hermes_keystore.place import OpenFiles, close_to_others, floor_path, resolve_path, wal_path
from hermes_keystore.rotating_file import RotatingFile
from hermes_keystore.rows import Changes, apply_rows, read_record, read_rows
from hermes_keystore.unsealing import Unsealed, verify_file

Puts = Mapping[tuple[Table, bytes], bytes | bytearray]
Deletes = Collection[tuple[Table, bytes]]


class Keystore(RotatingFile):
    """An open keystore. Values it hands out are bytearrays the caller wipes."""

    def __init__(
        self,
        path: Path,
        lock: KeystoreLock,
        connection: sqlite3.Connection,
        unsealed: Unsealed,
        random: RandomSource,
        files: OpenFiles,
        now: Callable[[], float],
    ) -> None:
        """For `create` and `open`. `deleted`: records deleted since."""
        super().__init__(path, lock, connection, unsealed, random, files, now)
        self.deleted = 0
        self._history: History | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        passphrase: SecretBytes,
        *,
        records: Puts | None = None,
        argon2: Argon2Params | None = None,
        backend: KeyBackend | None = None,
        page_bytes: int = PAGE_BYTES,
        connect: Connector = connect_sqlite,
        random: RandomSource = SYSTEM_RANDOM,
        now: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Make a new keystore and open it. KeystoreExistsError when there is one: it is never overwritten.

        There is no moment in which it is there without `records`, which stay the caller's to wipe. `now` in seconds, of a
        clock that only rises.
        """
        path, backend = resolve_path(Path(path)), backend or PassphraseBackend(passphrase, argon2)
        with locked(path) as lock:
            write_new_keystore(path, backend, page_bytes, connect, random, records or {})
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
        with locked(path) as lock:
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
        close_to_others(path, wal_path(path), floor_path(path), lock_path(path))
        try:
            files = OpenFiles(path, wal_path(path))
            connection = open_for_writing(path, connect)
        except DATABASE_ERRORS as error:
            unsealed.wipe()
            raise translate_error(error) from None
        except BaseException:
            unsealed.wipe()
            raise
        store = cls(path, lock, connection, unsealed, random, files, now)
        try:
            files.pin_log()
            store._check_unchanged()
            with store._fail_stop():
                store._truncate_log()  # what a crash left: see wal.py
            store._begin()
            if unsealed.census.outdated:
                store.rotate_generation()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def open_id(self) -> bytes:
        """16 bytes, random at each opening; no other copy of this keystore has the same."""
        return self._begun.lineage.current.open_id

    @property
    def marks_may_leave(self) -> bool:
        """Whether `let_marks_out` is done."""
        return self._begun.told

    def let_marks_out(self) -> None:
        """Before the first mark of this opening leaves the node: whoever opens the keystore next has to know the opening."""
        if not self._begun.told:
            self.commit(self._begun.tell())
            self._begun.told = True

    @property
    def rollback(self) -> Rollback | None:
        """Proof that this keystore is an older copy, on which nobody has acted yet; durable until `settle_rollback`."""
        return self._begun.rollback

    @property
    def records(self) -> int:
        """In all tables."""
        return sum(self._unsealed.census.by_table.values())

    def record_count(self, table: Table) -> int:
        return self._unsealed.census.by_table.get(table, 0)

    def load(self, table: Table) -> Iterator[tuple[bytes, bytearray]]:
        """Every record of a table as (key, value), in no meaningful order; commits in between are allowed, rotating is not."""
        self._check_usable()
        moved = self._slices
        sealer = self._sealers.current if self._sealers.former is None else self._sealers
        with translated():
            for row_key, tbl, version, sealed in read_rows(self._connection, table):
                if moved != self._slices:
                    raise KeystoreError("records were sealed anew while they were being loaded")
                yield sealer.open(row_key, tbl, version, sealed)
                self._check_usable()

    def get(self, table: Table, key: bytes) -> bytearray | None:
        """One record, or None."""
        self._check_usable()
        with translated():
            return read_record(self._connection, self._sealers, table, key)

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
        current, former = self._sealers.current, self._sealers.former
        rows = [current.seal(table, key, RECORD_VERSIONS[table], value, self._random) for (table, key), value in puts.items()]
        removed = dict.fromkeys(current.derive_row_key(table, key) for table, key in deletes)
        removed |= dict.fromkeys(row.row_key for row in rows)
        removed_former = (
            {former.derive_row_key(*place): None for places in (deletes, puts) for place in places} if former else {}
        )
        changes = Changes(rows, removed, removed_former)
        self._transact(lambda: apply_rows(self._connection, self._unsealed, changes, self._random, counter))
        self.deleted += len(deletes)
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

    def renew_key(self, puts: Puts, former_key: bytes) -> None:
        """Commit `puts`, and with them that this opening renewed the node's key: marks under the former one go on counting."""
        history = self._begun
        openings = history.lineage.openings
        noted = replace(history.lineage, openings=(*openings[:-1], replace(openings[-1], former_key=former_key)))
        self.commit({**puts, LINEAGE: encode_lineage(noted)})
        history.lineage = noted

    def note_rollback(self, rollback: Rollback) -> None:
        """Proof that no mark gave: it waits as one that a mark gave, unless one waits already."""
        if self._begun.rollback is None:
            self.commit({ROLLBACK: encode_rollback(rollback)})
            self._begun.rollback = rollback

    def settle_rollback(self) -> None:
        """Somebody acted on `rollback`, durably: the same proof tells nothing any more."""
        if self._begun.rollback is not None:
            self.commit({}, [ROLLBACK])
            self._begun.rollback = None

    def rotate_passphrase(self, new: SecretBytes, *, argon2: Argon2Params | None = None) -> None:
        """Seal the keystore with another passphrase; records are not touched."""
        self.rewrap(PassphraseBackend(new, argon2))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """Commit this opening, with what the file beside it proves, before anything else is; then raise the floor.

        A keystore of an older Hermes gets its first floor. The database file itself is to say so: as long as only the log
        did, whoever removed both left nothing that asks for them.
        """
        beside = read_floor(self.path)
        self._history = history = History.read(self.get, beside, self.file_id, self.mark.commit_counter, self._random)
        self._floor = FloorFile(self.path, history.floor.key, self.file_id, self._now, self._random)
        self._commit_and_wipe(history.puts())
        if not history.floor.armed:
            self._commit_and_wipe(history.arm())
            with self._fail_stop():
                self._truncate_log()

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
