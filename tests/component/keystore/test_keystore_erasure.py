"""Erasure, measured on raw bytes: after a rotation no old sealed record is left in the files, and no copy of one opens.

The examiner here has the passphrase, every key the live file yields, and older copies of anything but the header.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreIOError, KeystoreLockedError, KeystoreTamperedError
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.sealing import RecordSealer
from hermes_keystore import Keystore, Table
from hermes_keystore.wal import log_bytes, truncate_log
from tests.component.keystore.kit import CHEAP, PASSPHRASE, RECORDS, content, create, file_bytes, open_store, secret
from tests.reference import keystore_reference as reference

CHATS = {(Table.CHAT, b"chat-%d" % number): b"\x02" + bytes([number]) * 300 for number in range(50)}
DELETED = list(CHATS)[:25]


def raw_rows(store: Keystore) -> dict[bytes, reference.Row]:
    """row key → (row key, table, version, sealed), as on disk."""
    query = "SELECT row_key, tbl, version, sealed FROM records WHERE tbl != ?"
    rows = store._connection.execute(query, (Table.HISTORY,)).fetchall()
    return {row[0]: row for row in rows}


def raw_header(store: Keystore) -> bytes:
    return store._unsealed.header.raw


def files(path: Path) -> bytes:
    return b"".join(file_bytes(path).values())


def traces(old: dict[bytes, reference.Row], raw: bytes) -> int:
    """How many old sealed records can be found in raw bytes, by any 24-byte piece of them (records span pages)."""
    return sum(any(sealed[at : at + 24] in raw for at in range(0, len(sealed) - 24, 24)) for _, _, _, sealed in old.values())


def halves(old: dict[bytes, reference.Row], raw: bytes) -> int:
    """Of how many old sealed records half or more is in raw bytes.

    SQLite overwrites what is deleted, and not the gap that is left in a page whose rows it moved to others: in one rotation of
    a hundred a piece of an old row stays there.
    """
    pieces = [[sealed[at : at + 24] in raw for at in range(0, len(sealed), 24)] for _, _, _, sealed in old.values()]
    return sum(2 * sum(found) >= len(found) for found in pieces)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    store = Keystore.create(tmp_path / "keystore.db", secret(), argon2=CHEAP, page_bytes=1024)
    store.commit(CHATS)
    return store


def test_deleting_alone_leaves_sealed_copies_in_the_log(store: Keystore) -> None:
    """The control: without a checkpoint the log still holds every deleted record, so the tests below can find traces."""
    old = raw_rows(store)
    store.commit({}, DELETED)
    assert traces(old, files(store.path)) == halves(old, files(store.path)) == len(CHATS)
    store.close()


def test_a_teardown_burst_and_a_truncated_log_leave_no_deleted_record(store: Keystore) -> None:
    before = raw_rows(store)
    store.commit({}, DELETED)
    store._truncate_log()
    after = raw_rows(store)
    deleted = {row_key: row for row_key, row in before.items() if row_key not in after}
    assert len(deleted) == len(DELETED)
    assert traces(deleted, files(store.path)) == 0
    assert traces(after, files(store.path)) == len(after)
    store.close()


def test_after_a_rotation_no_record_of_the_old_generation_is_left_in_the_files(store: Keystore) -> None:
    old, old_header = raw_rows(store), raw_header(store)
    (old_state,) = store._connection.execute("SELECT sealed FROM state").fetchone()
    store.commit({}, DELETED)
    store.rotate_generation()
    raw = files(store.path)
    assert halves(old, raw) == 0
    assert traces(old, raw) < len(old) / 10
    assert old_state not in raw
    assert old_header[-128:] not in raw  # the sealed old generation key, its MAC and checksum
    assert traces(raw_rows(store), raw) == len(CHATS) - len(DELETED)
    store.close()


def test_old_copies_of_rows_open_to_nobody_after_a_rotation(store: Keystore) -> None:
    """Old rows kept elsewhere, the live file and the passphrase: no key that can be had opens them."""
    old, file_id = raw_rows(store), store.file_id
    store.rotate_generation()
    path = store.path
    store.close()
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    _, generation, key = reference.unwrap_header(raw, PASSPHRASE)
    assert generation == 2
    for claimed in (1, 2):
        sealer = RecordSealer(GenerationKeys.derive(file_id, claimed, secret(key)))
        for row in old.values():
            with pytest.raises(KeystoreTamperedError):
                sealer.open(*row)


def test_with_the_old_header_they_open_which_the_documentation_says(store: Keystore) -> None:
    """The control, and the limit: an older whole image together with the passphrase is not protected."""
    old, old_header = raw_rows(store), raw_header(store)
    store.rotate_generation()
    store.close()
    file_id, generation, key = reference.unwrap_header(old_header, PASSPHRASE)
    opened = dict(reference.open_record(file_id, generation, key, row) for row in old.values())
    assert opened == {key: value for (_, key), value in CHATS.items()}


def test_a_rotated_passphrase_leaves_no_old_header(store: Keystore) -> None:
    old_header = raw_header(store)
    store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
    raw = files(store.path)
    assert all(old_header[at : at + 24] not in raw for at in range(29, len(old_header) - 24))
    store.close()


def test_a_checkpoint_that_a_reader_holds_up_is_an_error(tmp_path: Path) -> None:
    """SQLite reports busy and erases nothing; taking that for success would leave every old frame in place."""
    path = tmp_path / "keystore.db"
    writer = sqlite3.connect(path, isolation_level=None, timeout=0)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (a)")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT * FROM t").fetchall() == []
    writer.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeystoreIOError, match="busy"):
        truncate_log(writer, path)
    reader.execute("COMMIT")
    truncate_log(writer, path)
    assert log_bytes(path) == 0
    reader.close()
    writer.close()


def test_a_checkpoint_that_fails_stops_the_keystore(tmp_path: Path) -> None:
    store = create(tmp_path / "keystore.db")
    cursor = store._connection.execute("SELECT row_key FROM records")
    assert cursor.fetchone()
    with pytest.raises(KeystoreLockedError), store._fail_stop():
        store._truncate_log()
    cursor.close()
    with pytest.raises(KeystoreIOError, match="stopped after an error"):
        store.commit({(Table.META, b"k"): b"v"})
    store.close()
    with open_store(store.path) as reopened:
        assert content(reopened) == RECORDS
