"""Unsealing: from an open database to verified keys and state. Reads only; whoever calls it may be holding a forgery."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import field
from pathlib import Path
from typing import Any

from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreIOError, KeystoreTamperedError, KeystoreUnsupportedVersionError
from hermes_core.keystore.header import MAX_HEADER_BYTES, Header, open_generations, parse_header, unwrap_master
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.migration import migrate_value, needs_migration
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.sealing import MAX_SEALED_BYTES, MIN_SEALED_BYTES, SealedRow, Sealers
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.state import KeystoreState, RowSet, open_state
from hermes_core.keystore.tables import ROW_KEY_BYTES, Table
from hermes_core.values import dataclass
from hermes_keystore.database import (
    DATABASE_ERRORS,
    Connector,
    check_files,
    check_schema,
    open_for_checking,
    translate_error,
)
from hermes_keystore.log_check import check_log

SELECT_ROWS = "SELECT row_key, tbl, version, sealed FROM records ORDER BY row_key"


@dataclass(slots=True)
class RowCensus:
    """What a scan of all rows found: the rows of each generation, rows a table, rows in an older record version.

    `former_after`: a row key below every row of the former generation.
    """

    rows: RowSet
    former: RowSet | None = None
    former_after: bytes = b""
    by_table: dict[int, int] = field(default_factory=dict)
    outdated: int = 0
    newer: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An authentic keystore: every key to use it, its state, and the census of its rows.

    `former`: the generation before this one, as long as rows of it are left.
    """

    header: Header
    master: SecretBytes
    keys: GenerationKeys
    former: GenerationKeys | None
    state: KeystoreState
    census: RowCensus

    def wipe(self) -> None:
        self.master.wipe()
        self.keys.wipe()
        if self.former is not None:
            self.former.wipe()


def verify_file(path: Path, backend: KeyBackend, connect: Connector) -> Unsealed:
    """Unseal the file at `path` through a connection that cannot change it; the caller holds its lock."""
    check_files(path)
    check_log(path)
    try:
        connection = open_for_checking(path, connect)
        try:
            return unseal(connection, backend)
        finally:
            connection.close()
    except DATABASE_ERRORS as error:
        raise translate_error(error) from None
    except OSError as error:
        raise KeystoreIOError(f"cannot read {path}: {error.strerror}") from None


def read_header(connection: sqlite3.Connection) -> Header:
    """The header, whole but not yet authenticated."""
    return parse_header(_read_blob(connection, "SELECT body FROM header", MAX_HEADER_BYTES))


def unseal(connection: sqlite3.Connection, backend: KeyBackend) -> Unsealed:
    """Check everything there is to check, in the order of cost; KeystoreError subclasses say what is wrong."""
    check_schema(connection)
    header = read_header(connection)
    master = unwrap_master(header, backend)
    try:
        keys, former = derive_generations(header, master)
        try:
            state = read_state(connection, keys, header)
            census = count_rows(connection, keys, former)
            _compare(census, state)
            unsealed = Unsealed(header, master, keys, former, state, census)
            _rehearse_migration(connection, unsealed)
        except BaseException:
            keys.wipe()
            if former is not None:
                former.wipe()
            raise
    except BaseException:
        master.wipe()
        raise
    return unsealed


def derive_generations(header: Header, master: SecretBytes) -> tuple[GenerationKeys, GenerationKeys | None]:
    """The subkeys of the header's generations, the former's if there is one; the generation keys themselves are wiped."""
    generations = open_generations(header, master)
    try:
        current, *former = (GenerationKeys.derive(header.file_id, number, key) for number, key in generations)
        return current, former[0] if former else None
    finally:
        for _, key in generations:
            key.wipe()


def read_state(connection: sqlite3.Connection, keys: GenerationKeys, header: Header) -> KeystoreState:
    state = open_state(keys, _read_blob(connection, "SELECT sealed FROM state", MAX_HEADER_BYTES))
    if state.header_hash != header.fingerprint:
        raise KeystoreTamperedError("the header is not the one this keystore was last written with")
    return state


def count_rows(connection: sqlite3.Connection, keys: GenerationKeys, former: GenerationKeys | None) -> RowCensus:
    """Scan all rows in key order. A look-up walks the same B-tree, so ascending keys prove that it finds them.

    While two generations live, a row is opened to see whose it is: nothing that is not sealed says so.
    """
    digest = SetDigest(keys.set_digest)
    others = None if former is None else _OtherRows(digest, keys, former)
    add = digest.add if others is None else others.add
    kinds: Counter[tuple[int, int]] = Counter()
    previous = b""
    for row_key, table, version, sealed in connection.execute(SELECT_ROWS):
        _check_columns(row_key, table, version, sealed)
        if row_key <= previous:
            raise KeystoreTamperedError("the keystore's rows are out of order")
        previous = row_key
        add(row_key, table, version, sealed)
        kinds[table, version] += 1
    if others is None:
        census = RowCensus(RowSet(kinds.total(), digest.value))
    else:
        former_rows = RowSet(others.count, others.digest.value)
        census = RowCensus(RowSet(kinds.total() - others.count, digest.value), former_rows, others.after)
    for (table, version), rows in kinds.items():
        _count(census, table, version, rows)
    return census


class _OtherRows:
    """Count and digest of the rows that are not the current generation's, whose own digest gets the rest."""

    def __init__(self, current: SetDigest, keys: GenerationKeys, former: GenerationKeys) -> None:
        self.count = 0
        self.after = b""
        self.digest = SetDigest(former.set_digest)
        self._current = current
        self._sealers = Sealers(keys, former)

    def add(self, row_key: bytes, table: int, version: int, sealed: bytes) -> None:
        if self._sealers.is_current(row_key, table, version, sealed):
            self._current.add(row_key, table, version, sealed)
            self.after = self.after if self.count else row_key
        else:
            self.digest.add(row_key, table, version, sealed)
            self.count += 1


def check_row(row_key: Any, table: Any, version: Any, sealed: Any) -> SealedRow:
    """A row as SQLite gave it; KeystoreTamperedError unless its types and sizes are right."""
    _check_columns(row_key, table, version, sealed)
    return SealedRow(row_key, table, version, sealed)


def _check_columns(row_key: object, table: object, version: object, sealed: object) -> None:
    """Types and sizes; what is inside is the digest's and the box's to prove."""
    if not (isinstance(row_key, bytes) and isinstance(sealed, bytes) and isinstance(table, int) and isinstance(version, int)):
        raise KeystoreTamperedError("a row has a wrong type")
    if len(row_key) != ROW_KEY_BYTES or not MIN_SEALED_BYTES <= len(sealed) <= MAX_SEALED_BYTES:
        raise KeystoreTamperedError("a row has a wrong size")
    if not (0 < table <= 0xFF and 0 < version <= 0xFF):
        raise KeystoreTamperedError("a row has a number out of range")


def _count(census: RowCensus, table: int, version: int, rows: int) -> None:
    census.by_table[table] = census.by_table.get(table, 0) + rows
    if table not in RECORD_VERSIONS or version > RECORD_VERSIONS[Table(table)]:
        census.newer = (table, version)
    elif needs_migration(Table(table), version):
        census.outdated += rows


def _compare(census: RowCensus, state: KeystoreState) -> None:
    """Rows against the sealed state first: only an authentic row may claim to be from the future."""
    if (census.rows, census.former) != (state.rows, state.former):
        raise KeystoreTamperedError("rows were changed, moved, removed or put back behind the keystore's back")
    if census.newer is not None:
        table, version = census.newer
        raise KeystoreUnsupportedVersionError(f"a record of table {table} has version {version}, newer than this Hermes")


def _rehearse_migration(connection: sqlite3.Connection, unsealed: Unsealed) -> None:
    """Migrate every outdated row in memory only: one that cannot be migrated is found before anything is written."""
    if not unsealed.census.outdated:
        return
    sealers = Sealers(unsealed.keys, unsealed.former)
    for row_key, table, version, sealed in connection.execute(SELECT_ROWS):
        if needs_migration(Table(table), version):
            _, value = sealers.open(row_key, table, version, sealed)
            try:
                wipe_buffer(migrate_value(Table(table), value))
            finally:
                wipe_buffer(value)


def _read_blob(connection: sqlite3.Connection, query: str, limit: int) -> bytes:
    rows = connection.execute(query).fetchmany(2)
    if len(rows) != 1 or not isinstance(rows[0][0], bytes) or len(rows[0][0]) > limit:
        raise KeystoreTamperedError("the keystore's header or state row is missing")
    return rows[0][0]
