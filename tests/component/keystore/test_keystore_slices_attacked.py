"""Rows, header and state changed by someone with the volume in the middle of a rotation: found when the keystore is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_keystore.inspection import audit_file
from tests.component.keystore.kit import memo_backend, open_store, unchanged
from tests.component.keystore.slices import CHATS, Row, begun, filled, finish, of_former, raw_rows

pytestmark = pytest.mark.usefixtures("small_slices")


def _remove(victim: sqlite3.Connection, row: Row) -> None:
    victim.execute("DELETE FROM records WHERE row_key = ?", (row[0],))


def _copy(victim: sqlite3.Connection, row: Row) -> None:
    victim.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (bytes(byte ^ 1 for byte in row[0]), *row[1:]))


def _damage(victim: sqlite3.Connection, row: Row) -> None:
    victim.execute("UPDATE records SET sealed = ? WHERE row_key = ?", (row[3][:-1] + bytes([row[3][-1] ^ 1]), row[0]))


def _add(victim: sqlite3.Connection, row: Row) -> None:
    victim.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", row)


def forge(path: Path, attack: Callable[[sqlite3.Connection, Row], None], row: Row) -> None:
    with sqlite3.connect(path) as victim:
        attack(victim, row)
    victim.close()


@pytest.mark.parametrize("attack", [_remove, _copy, _damage])
@pytest.mark.parametrize("former", [True, False])
def test_an_attack_on_a_row_of_either_generation_is_found(
    tmp_path: Path, attack: Callable[[sqlite3.Connection, Row], None], former: bool
) -> None:
    store = begun(tmp_path / "keystore.db")
    theirs = of_former(store)
    row = theirs[0] if former else next(row for row in raw_rows(store) if row not in theirs)
    store.close()
    forge(store.path, attack, row)
    with unchanged(store.path), pytest.raises(KeystoreTamperedError):
        open_store(store.path)
    with pytest.raises(KeystoreTamperedError):
        audit_file(store.path, memo_backend())


@pytest.mark.parametrize("former", [True, False])
@pytest.mark.parametrize("change", ["deleted", "replaced", "sealed anew"])
def test_a_row_that_is_put_back_is_found(tmp_path: Path, former: bool, change: str) -> None:
    """Authentic rows, of one generation or the other, which the keystore had a moment ago."""
    store = begun(tmp_path / "keystore.db")
    theirs = of_former(store)
    before = theirs if former else [row for row in raw_rows(store) if row not in theirs]
    if change == "sealed anew":
        while all(row in raw_rows(store) for row in before):
            store.rotate_slice()
    elif change == "deleted":
        store.commit({}, CHATS)
    else:
        store.commit(dict.fromkeys(CHATS, b"\x01 later"))
    gone = next(row for row in before if row not in raw_rows(store))
    store.close()
    forge(store.path, _add, gone)
    with unchanged(store.path), pytest.raises(KeystoreTamperedError):
        open_store(store.path)


@pytest.mark.parametrize("parts", [("header", "body"), ("state", "sealed")])
@pytest.mark.parametrize("later", ["slice", "end"])
def test_header_and_state_of_another_moment_do_not_fit(tmp_path: Path, parts: tuple[str, str], later: str) -> None:
    table, column = parts
    store = filled(tmp_path / "keystore.db")
    query = f"SELECT {column} FROM {table}"  # noqa: S608
    moments = [store._connection.execute(query).fetchone()]
    store.rotate_slice()
    moments.append(store._connection.execute(query).fetchone())
    store.rotate_slice() if later == "slice" else finish(store)
    (now,) = store._connection.execute(query).fetchone()
    store.close()
    for (moment,) in moments:
        if moment != now:
            with sqlite3.connect(store.path) as victim:
                victim.execute(f"UPDATE {table} SET {column} = ?", (moment,))  # noqa: S608
            victim.close()
            with unchanged(store.path), pytest.raises(KeystoreTamperedError):
                open_store(store.path)
