"""Rows, state and header put back, moved, copied or removed by someone with the volume: found when the keystore is opened.

A whole older image is authentic; what gives it away is its mark, which is lower than the one a witness saw.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_keystore import Table
from tests.component.keystore.kit import CHEAP, RECORDS, content, content_at, create, found_at, open_store, secret, unchanged

Attack = Callable[[sqlite3.Connection, sqlite3.Connection], object]
"""Changes the victim with the help of an older copy of it."""


def _rows(database: sqlite3.Connection) -> list[tuple[bytes, int, int, bytes]]:
    return database.execute("SELECT row_key, tbl, version, sealed FROM records WHERE tbl = 2 ORDER BY row_key").fetchall()


def _put_back_one_row(victim: sqlite3.Connection, old: sqlite3.Connection) -> None:
    here = {row[0]: row for row in _rows(victim)}
    changed = [row for row in _rows(old) if row[0] in here and row != here[row[0]]]
    assert changed
    victim.execute("UPDATE records SET sealed = ? WHERE row_key = ?", (changed[0][3], changed[0][0]))


def _put_back_all_rows(victim: sqlite3.Connection, old: sqlite3.Connection) -> None:
    victim.execute("DELETE FROM records")
    victim.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", old.execute("SELECT * FROM records").fetchall())


def _put_back_state(victim: sqlite3.Connection, old: sqlite3.Connection) -> None:
    victim.execute("UPDATE state SET sealed = ?", old.execute("SELECT sealed FROM state").fetchone())


def _put_back_header(victim: sqlite3.Connection, old: sqlite3.Connection) -> None:
    victim.execute("UPDATE header SET body = ?", old.execute("SELECT body FROM header").fetchone())


def _swap_two_rows(victim: sqlite3.Connection, _: sqlite3.Connection) -> None:
    first, second = _rows(victim)[:2]
    victim.execute("UPDATE records SET sealed = ? WHERE row_key = ?", (second[3], first[0]))
    victim.execute("UPDATE records SET sealed = ? WHERE row_key = ?", (first[3], second[0]))


def _copy_a_row(victim: sqlite3.Connection, _: sqlite3.Connection) -> None:
    row_key, *rest = _rows(victim)[0]
    victim.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (bytes(byte ^ 1 for byte in row_key), *rest))


def _move_a_row(victim: sqlite3.Connection, _: sqlite3.Connection) -> None:
    victim.execute("UPDATE records SET row_key = zeroblob(16) WHERE row_key = ?", (_rows(victim)[0][0],))


def _move_a_row_to_another_table(victim: sqlite3.Connection, _: sqlite3.Connection) -> None:
    victim.execute("UPDATE records SET tbl = 3, version = 1 WHERE row_key = ?", (_rows(victim)[0][0],))


def _delete_a_row(victim: sqlite3.Connection, _: sqlite3.Connection) -> None:
    victim.execute("DELETE FROM records WHERE row_key = ?", (_rows(victim)[0][0],))


def _put_back_a_deleted_row(victim: sqlite3.Connection, old: sqlite3.Connection) -> None:
    here = {row[0] for row in _rows(victim)}
    victim.execute("INSERT INTO records VALUES (?, ?, ?, ?)", next(row for row in _rows(old) if row[0] not in here))


@pytest.fixture
def old_and_new(tmp_path: Path) -> tuple[Path, Path]:
    """The same keystore before and after a row was replaced, another deleted, another added."""
    path, old = tmp_path / "keystore.db", tmp_path / "old.db"
    create(path).close()
    shutil.copyfile(path, old)
    with open_store(path) as store:
        store.commit(
            {(Table.CHAT, b"chat-one"): b"\x02 a later position", (Table.CHAT, b"chat-three"): b"\x02 new"},
            [(Table.CHAT, b"chat-two")],
        )
    return old, path


@pytest.mark.parametrize(
    "attack",
    [
        _put_back_one_row,
        _put_back_all_rows,
        _put_back_state,
        _swap_two_rows,
        _copy_a_row,
        _move_a_row,
        _move_a_row_to_another_table,
        _delete_a_row,
        _put_back_a_deleted_row,
    ],
)
def test_an_attack_on_rows_is_found_when_the_keystore_is_opened(old_and_new: tuple[Path, Path], attack: Attack) -> None:
    old, path = old_and_new
    with sqlite3.connect(path) as victim, sqlite3.connect(old) as helper:
        attack(victim, helper)
    victim.close()
    helper.close()
    with unchanged(path), pytest.raises(KeystoreTamperedError):
        open_store(path)


@pytest.mark.parametrize(
    "attacks", [(_put_back_header,), (_put_back_header, _put_back_state), (_put_back_all_rows, _put_back_state)]
)
@pytest.mark.parametrize("rotation", ["generation", "passphrase"])
def test_a_part_from_before_a_rotation_does_not_fit(tmp_path: Path, attacks: tuple[Attack, ...], rotation: str) -> None:
    path, old = tmp_path / "keystore.db", tmp_path / "old.db"
    create(path).close()
    shutil.copyfile(path, old)
    with open_store(path) as store:
        store.rotate_generation() if rotation == "generation" else store.rotate_passphrase(secret(), argon2=CHEAP)
        store.commit({(Table.META, b"later"): b""})
    with sqlite3.connect(path) as victim, sqlite3.connect(old) as helper:
        for attack in attacks:
            attack(victim, helper)
    victim.close()
    helper.close()
    with unchanged(path), pytest.raises(KeystoreTamperedError):
        open_store(path)


@pytest.mark.parametrize("change", ["commit", "generation", "passphrase"])
def test_a_whole_older_image_opens_with_a_lower_mark(tmp_path: Path, change: str) -> None:
    path, old = tmp_path / "keystore.db", tmp_path / "old.db"
    create(path).close()
    shutil.copyfile(path, old)
    with open_store(path) as store:
        before = store.mark
        if change == "commit":
            store.commit({(Table.CHAT, b"chat-one"): b"\x02 later"})
        elif change == "generation":
            store.rotate_generation()
        else:
            store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
        witnessed = store.mark
    shutil.copyfile(old, path)
    with open_store(path) as store:
        assert content(store) == RECORDS
        assert store.mark == before
        assert store.mark.commit_counter < witnessed.commit_counter
        assert store.mark.generation <= witnessed.generation


def test_marks_only_rise(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    marks = []
    with create(path) as store:
        marks.append(store.mark)
        for use in (
            lambda: store.commit({}, [(Table.META, b"never was")]),
            store.rotate_generation,
            lambda: store.rotate_passphrase(secret(), argon2=CHEAP),
            lambda: store.commit({(Table.META, b"k"): b"v"}),
        ):
            use()
            marks.append(store.mark)
    with open_store(path) as store:
        assert found_at(store) == marks[-1]
    counters = [mark.commit_counter for mark in marks]
    assert counters == list(range(counters[0], counters[0] + len(marks)))
    assert [mark.generation for mark in marks] == sorted(mark.generation for mark in marks)
    assert content_at(path)[Table.META, b"k"] == b"v"
