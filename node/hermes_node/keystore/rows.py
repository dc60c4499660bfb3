"""Rows in the database: reading a page at a time, and applying one commit's changes with the state that covers them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.keystore.sealing import SealedRow
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.state import KeystoreState, seal_state
from hermes_node.keystore.unsealing import RowCensus, Unsealed, check_row

ROWS_A_PAGE: Final = 256

_SELECT_PAGE: Final = "SELECT row_key, tbl, version, sealed FROM records WHERE row_key > ? AND tbl = ? ORDER BY row_key LIMIT ?"
_SELECT_ROW: Final = "SELECT row_key, tbl, version, sealed FROM records WHERE row_key = ?"
_PUT_ROW: Final = "INSERT OR REPLACE INTO records (row_key, tbl, version, sealed) VALUES (?, ?, ?, ?)"
_DELETE_ROW: Final = "DELETE FROM records WHERE row_key = ?"
_UPDATE_STATE: Final = "UPDATE state SET sealed = ?"


def read_rows(connection: sqlite3.Connection, table: int) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Rows of one table in row-key order; no cursor stays open between pages, so commits may come in between."""
    last = b""
    while True:
        rows = connection.execute(_SELECT_PAGE, (last, table, ROWS_A_PAGE)).fetchall()
        yield from rows
        if len(rows) < ROWS_A_PAGE:
            return
        last = rows[-1][0]


def list_row_keys(connection: sqlite3.Connection) -> list[bytes]:
    return [row_key for (row_key,) in connection.execute("SELECT row_key FROM records ORDER BY row_key")]


def find_row(connection: sqlite3.Connection, row_key: bytes) -> SealedRow | None:
    columns = connection.execute(_SELECT_ROW, (row_key,)).fetchone()
    return None if columns is None else check_row(*columns)


def apply_rows(
    connection: sqlite3.Connection,
    current: Unsealed,
    puts: list[SealedRow],
    removed: list[bytes],
    random: RandomSource,
    counter: int = 0,
) -> Unsealed:
    """Inside a transaction: delete, put, and seal the state that covers the result. A row in both lists is put.

    The commit counter rises by one, or to `counter` if that is higher.
    """
    digest = SetDigest(current.keys.set_digest, current.state.set_digest)
    by_table = dict(current.census.by_table)
    for row_key in dict.fromkeys((*removed, *(row.row_key for row in puts))):
        old = find_row(connection, row_key)
        if old is not None:
            digest.remove(old.row_key, old.table, old.version, old.sealed)
            by_table[old.table] -= 1
            delete_row(connection, row_key)
    for row in puts:
        digest.add(row.row_key, row.table, row.version, row.sealed)
        by_table[row.table] = by_table.get(row.table, 0) + 1
        put_row(connection, row)
    census = RowCensus(digest.value, sum(by_table.values()), by_table)
    return write_state(connection, replace(current, census=census), random, counter)


def put_row(connection: sqlite3.Connection, row: SealedRow) -> None:
    connection.execute(_PUT_ROW, (row.row_key, row.table, row.version, row.sealed))


def delete_row(connection: sqlite3.Connection, row_key: bytes) -> None:
    connection.execute(_DELETE_ROW, (row_key,))


def write_state(connection: sqlite3.Connection, changed: Unsealed, random: RandomSource, counter: int = 0) -> Unsealed:
    """Seal counter + 1, or `counter` if higher, and the census of `changed` as the new state: the end of every transaction."""
    state = KeystoreState(
        max(changed.state.commit_counter + 1, counter), changed.census.rows, changed.census.digest, changed.header.fingerprint
    )
    connection.execute(_UPDATE_STATE, (seal_state(changed.keys, state, random),))
    return replace(changed, state=state)
