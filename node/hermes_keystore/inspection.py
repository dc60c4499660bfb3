"""Looking at a keystore not in use, without writing: what anybody with the file sees, and what the passphrase proves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.header import Header
from hermes_core.keystore.key_backend import PASSPHRASE_BACKEND_ID, KeyBackend, parse_costs
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.rollback import Rollback
from hermes_core.keystore.sealing import Sealers
from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.tables import Table
from hermes_keystore.database import (
    DATABASE_ERRORS,
    FILE_VERSION,
    check_files,
    check_schema,
    open_for_checking,
    translate_error,
)
from hermes_keystore.floor_file import read_floor
from hermes_keystore.history import History
from hermes_keystore.lock import lock_for_reading
from hermes_keystore.log_check import check_log
from hermes_keystore.place import resolve_path
from hermes_keystore.rows import read_record
from hermes_keystore.unsealing import SELECT_ROWS, Unsealed, check_row, read_header, unseal
from hermes_keystore.wal import log_bytes


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the file shows without any key; nothing of it is authentic. `records` counts by table and record version."""

    file_version: int
    file_id: bytes
    backend_id: int
    argon2: Argon2Params | None
    size_bytes: int
    log_bytes: int
    records: dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the passphrase proves: every record authentic, in place, well formed, none missing; `outdated` need migration.

    `rollback`: proof that the keystore is an older copy, from the floor beside it or from before; the node acts on it.
    """

    file_id: bytes
    mark: KeystoreMark
    records: dict[int, int]
    outdated: int
    rollback: Rollback | None


def inspect_file(path: Path) -> Inspection:
    """Raise a KeystoreError when the file is not whole; no passphrase is needed."""
    path = resolve_path(path)
    with _checking(path) as connection:
        check_schema(connection)
        header = read_header(connection)
        rows = connection.execute("SELECT tbl, version, count(*) FROM records GROUP BY tbl, version ORDER BY tbl, version")
        records = {(int(table), int(version)): int(count) for table, version, count in rows}
    return Inspection(
        FILE_VERSION,
        header.file_id,
        header.backend_id,
        _read_costs(header),
        path.stat().st_size,
        log_bytes(path),
        records,
    )


def audit_file(path: Path, backend: KeyBackend) -> Audit:
    """Everything opening checks, and besides that every box opened and every chat record parsed."""
    path = resolve_path(path)
    with _checking(path) as connection:
        unsealed = unseal(connection, backend)
        try:
            _open_every_record(connection, unsealed)
            rollback = _judge(connection, unsealed, read_floor(path))
        finally:
            unsealed.wipe()
    mark = KeystoreMark(unsealed.keys.generation, unsealed.state.commit_counter)
    return Audit(unsealed.header.file_id, mark, unsealed.census.by_table, unsealed.census.outdated, rollback)


@contextmanager
def _checking(path: Path) -> Iterator[sqlite3.Connection]:
    check_files(path)
    with lock_for_reading(path):
        check_log(path)
        try:
            connection = open_for_checking(path)
            try:
                yield connection
            finally:
                connection.close()
        except DATABASE_ERRORS as error:
            raise translate_error(error) from None


def _open_every_record(connection: sqlite3.Connection, unsealed: Unsealed) -> None:
    sealers = Sealers(unsealed.keys, unsealed.former)
    for columns in connection.execute(SELECT_ROWS):
        row = check_row(*columns)
        key, value = sealers.open(row.row_key, row.table, row.version, row.sealed)
        try:
            if row.row_key not in (sealer.derive_row_key(row.table, key) for sealer in sealers.each):
                raise KeystoreTamperedError("a record is not the one its row key names")
            if row.table == Table.CHAT:
                parse_chat_record(value).wipe()
        finally:
            wipe_buffer(value)


def _judge(connection: sqlite3.Connection, unsealed: Unsealed, beside: bytes | None) -> Rollback | None:
    sealers = Sealers(unsealed.keys, unsealed.former)

    def get(table: Table, key: bytes) -> bytearray | None:
        return read_record(connection, sealers, table, key)

    history = History.read(get, beside, unsealed.header.file_id, unsealed.state.commit_counter, SYSTEM_RANDOM)
    history.floor.key.wipe()
    return history.rollback


def _read_costs(header: Header) -> Argon2Params | None:
    return parse_costs(header.wrapped)[0] if header.backend_id == PASSPHRASE_BACKEND_ID else None


def is_outdated(table: int, version: int) -> bool:
    """Whether opening the keystore would migrate such a record."""
    return table in RECORD_VERSIONS and version < RECORD_VERSIONS[Table(table)]
