"""Rows in the database: reading a page at a time, and applying one commit's changes with the state that covers them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.sealing import SealedRow, Sealers
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.state import KeystoreState, RowSet, seal_state
from hermes_core.keystore.tables import Table
from hermes_core.values import dataclass
from hermes_keystore.unsealing import RowCensus, Unsealed, check_row

ROWS_A_PAGE: Final = 256

_SELECT_PAGE: Final = "SELECT row_key, tbl, version, sealed FROM records WHERE row_key > ? AND tbl = ? ORDER BY row_key LIMIT ?"
_SELECT_KEYS: Final = "SELECT row_key FROM records WHERE row_key > ? ORDER BY row_key LIMIT ?"
_SELECT_ROW: Final = "SELECT row_key, tbl, version, sealed FROM records WHERE row_key = ?"
_PUT_ROW: Final = "INSERT OR REPLACE INTO records (row_key, tbl, version, sealed) VALUES (?, ?, ?, ?)"
_DELETE_ROW: Final = "DELETE FROM records WHERE row_key = ?"
_UPDATE_STATE: Final = "UPDATE state SET sealed = ?"


@dataclass(frozen=True, slots=True)
class Changes:
    """One commit's: rows to write, and the row keys of what they replace and of what is deleted, by generation."""

    puts: list[SealedRow]
    removed: dict[bytes, None]
    removed_former: dict[bytes, None]


class LiveRows:
    """Rows and digests of the generations that live, while a transaction changes them."""

    def __init__(self, current: Unsealed) -> None:
        census = current.census
        self._current = _Tally(current.keys, census.rows)
        self._former = None if current.former is None or census.former is None else _Tally(current.former, census.former)
        self._by_table = dict(census.by_table)

    def remove(self, row: SealedRow, *, former: bool = False) -> None:
        (self._former if former and self._former is not None else self._current).remove(row)
        self._by_table[row.table] -= 1

    def add(self, row: SealedRow) -> None:
        """Whatever is new is the current generation's."""
        self._current.add(row)
        self._by_table[row.table] = self._by_table.get(row.table, 0) + 1

    def census(self) -> RowCensus:
        former = None if self._former is None else self._former.rows
        return RowCensus(self._current.rows, former, by_table=self._by_table)


class _Tally:
    def __init__(self, keys: GenerationKeys, rows: RowSet) -> None:
        self._digest = SetDigest(keys.set_digest, rows.digest)
        self._count = rows.count

    @property
    def rows(self) -> RowSet:
        return RowSet(self._count, self._digest.value)

    def add(self, row: SealedRow) -> None:
        self._digest.add(row.row_key, row.table, row.version, row.sealed)
        self._count += 1

    def remove(self, row: SealedRow) -> None:
        self._digest.remove(row.row_key, row.table, row.version, row.sealed)
        self._count -= 1


def read_rows(connection: sqlite3.Connection, table: int) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Rows of one table in row-key order; no cursor stays open between pages, so commits may come in between."""
    last = b""
    while True:
        rows = connection.execute(_SELECT_PAGE, (last, table, ROWS_A_PAGE)).fetchall()
        yield from rows
        if len(rows) < ROWS_A_PAGE:
            return
        last = rows[-1][0]


def list_row_keys(connection: sqlite3.Connection, after: bytes, limit: int) -> list[bytes]:
    """In ascending order, at most `limit` of those above `after`; -1: all of them."""
    return [row_key for (row_key,) in connection.execute(_SELECT_KEYS, (after, limit))]


def find_row(connection: sqlite3.Connection, row_key: bytes) -> SealedRow | None:
    columns = connection.execute(_SELECT_ROW, (row_key,)).fetchone()
    return None if columns is None else check_row(*columns)


def read_record(connection: sqlite3.Connection, sealers: Sealers, table: Table, key: bytes) -> bytearray | None:
    """The value of one record, of whichever generation it is; None when there is none."""
    for sealer in sealers.each:
        row = find_row(connection, sealer.derive_row_key(table, key))
        if row is not None:
            return sealer.open(row.row_key, row.table, row.version, row.sealed)[1]
    return None


def apply_rows(
    connection: sqlite3.Connection, current: Unsealed, changes: Changes, random: RandomSource, counter: int = 0
) -> Unsealed:
    """Inside a transaction: delete, put, and seal the state that covers the result. A row in both lists is put.

    The commit counter rises by one, or to `counter` if that is higher.
    """
    rows = LiveRows(current)
    for former, removed in ((False, changes.removed), (True, changes.removed_former)):
        for row_key in removed:
            old = find_row(connection, row_key)
            if old is not None:
                rows.remove(old, former=former)
                delete_row(connection, row_key)
    for row in changes.puts:
        rows.add(row)
        put_row(connection, row)
    return write_state(connection, replace(current, census=rows.census()), random, counter)


def put_row(connection: sqlite3.Connection, row: SealedRow) -> None:
    connection.execute(_PUT_ROW, (row.row_key, row.table, row.version, row.sealed))


def delete_row(connection: sqlite3.Connection, row_key: bytes) -> None:
    connection.execute(_DELETE_ROW, (row_key,))


def write_state(connection: sqlite3.Connection, changed: Unsealed, random: RandomSource, counter: int = 0) -> Unsealed:
    """Seal counter + 1, or `counter` if higher, and the census of `changed` as the new state: the end of every transaction."""
    counter = max(changed.state.commit_counter + 1, counter)
    state = KeystoreState(counter, changed.census.rows, changed.header.fingerprint, changed.census.former)
    connection.execute(_UPDATE_STATE, (seal_state(changed.keys, state, random),))
    return replace(changed, state=state)
