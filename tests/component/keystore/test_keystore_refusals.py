"""Every keystore that cannot be opened: its own error class, and not one byte of its files changed, with and without a log."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import struct
from pathlib import Path

import pytest

from hermes_core.errors import (
    KeystoreBadPassphraseError,
    KeystoreError,
    KeystoreIOError,
    KeystoreLockedError,
    KeystoreTamperedError,
    KeystoreUnsupportedVersionError,
)
from hermes_core.keystore import record_versions
from hermes_keystore import Keystore, Table
from tests.component.keystore.kit import CHEAP, RECORDS, content_at, copy_files, create, open_store, secret, unchanged


@pytest.fixture(params=["clean", "log"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A keystore that was closed, or one whose process was killed: the same content, part of it only in the log."""
    original = tmp_path / "original" / "keystore.db"
    original.parent.mkdir()
    with create(original):
        if request.param == "log":
            return copy_files(original, tmp_path / "image")
    return original


def write(path: Path, statement: str, *parameters: object) -> None:
    """Change a keystore behind its back, leaving no trace of the tool."""
    with sqlite3.connect(path) as database:
        database.execute(statement, parameters)
    database.close()


def refused(path: Path, error: type[KeystoreError], passphrase: bytes | None = None) -> KeystoreError:
    """The exact error class, the files unchanged, and the lock free again (a second try says the same)."""
    with unchanged(path):
        for _ in range(2):
            with pytest.raises(KeystoreError) as caught:
                open_store(path) if passphrase is None else open_store(path, passphrase)
            assert type(caught.value) is error, caught.value
    return caught.value


def test_the_intact_keystore_opens(path: Path) -> None:
    assert content_at(path) == RECORDS


@pytest.mark.parametrize("passphrase", [b"wrong", b"", b"correct horse battery stapl", b"x" * 10_000], ids=len)
def test_a_wrong_passphrase(path: Path, passphrase: bytes) -> None:
    refused(path, KeystoreBadPassphraseError, passphrase)


@pytest.mark.parametrize("kept", [0, 1, 15, 16, 99, 100, 512, 1023, 1024, 2048, -1024, -1])
def test_a_truncated_file(path: Path, kept: int) -> None:
    with sqlite3.connect(path) as database:  # fold a log in, or it would bring the missing pages back
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    os.truncate(path, kept if kept >= 0 else path.stat().st_size + kept)
    refused(path, KeystoreTamperedError)


@pytest.mark.parametrize("junk", [b"not a database at all" * 100, bytes(8192), b"SQLite format 3\0" + b"\xff" * 5000])
def test_another_file_in_its_place(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)
    refused(path, KeystoreTamperedError)


def test_another_sqlite_database_in_its_place(path: Path, tmp_path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    write(path, "CREATE TABLE shopping (item TEXT)")
    refused(path, KeystoreTamperedError)


def test_a_newer_file_version(path: Path) -> None:
    write(path, "PRAGMA user_version = 2")
    assert "version 2" in refused(path, KeystoreUnsupportedVersionError).detail


def test_a_newer_header_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    body = raw[:8] + struct.pack(">H", 3) + raw[10:-8]
    write(path, "UPDATE header SET body = ?", body + hashlib.sha256(body).digest()[:8])
    refused(path, KeystoreUnsupportedVersionError)


@pytest.mark.parametrize("table", [Table.CHAT, Table.TOMBSTONE])
def test_a_newer_record_version(tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keystore.db"
    with monkeypatch.context() as patch, create(path) as store:
        patch.setitem(record_versions.RECORD_VERSIONS, table, 4)
        store.commit({(table, b"from the future"): b"\x04"})
    assert f"table {int(table)} has version 4" in refused(path, KeystoreUnsupportedVersionError).detail


def test_a_table_this_version_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keystore.db"
    with monkeypatch.context() as patch, create(path) as store:
        patch.setitem(record_versions.RECORD_VERSIONS, 77, 1)  # type: ignore[misc]
        store.commit({(77, b"from the future"): b"?"})  # type: ignore[dict-item]
    refused(path, KeystoreUnsupportedVersionError)


@pytest.mark.parametrize("at", [0, 7, 12, 26, 28, 30, 40, 60, 100, 130, 180, -40, -8, -1])
def test_a_corrupt_header(path: Path, at: int) -> None:
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    forged = bytearray(raw)
    forged[at] ^= 0x40
    write(path, "UPDATE header SET body = ?", bytes(forged))
    refused(path, KeystoreTamperedError)


def test_a_header_that_asks_for_64_gib(path: Path) -> None:
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    body = raw[:29] + struct.pack(">I", 64 << 20) + raw[33:-8]
    write(path, "UPDATE header SET body = ?", body + hashlib.sha256(body).digest()[:8])
    assert "out of bounds" in refused(path, KeystoreTamperedError).detail


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM header",
        "DELETE FROM state",
        "UPDATE state SET sealed = zeroblob(120)",
        "UPDATE state SET sealed = 'text'",
        "UPDATE records SET sealed = zeroblob(200)",
        "UPDATE records SET tbl = 3 WHERE tbl = 2",
        "UPDATE records SET version = 1 WHERE tbl = 2",
        "UPDATE records SET tbl = 'chat' WHERE tbl = 2",
        "UPDATE records SET version = 300 WHERE tbl = 2",
        "UPDATE records SET row_key = zeroblob(16) WHERE tbl = 1",
        "UPDATE records SET row_key = zeroblob(17) WHERE tbl = 1",
        "DELETE FROM records WHERE tbl = 3",
        "DELETE FROM records",
        "DROP TABLE records",
        "INSERT INTO records VALUES (randomblob(16), 2, 2, randomblob(80))",
        "CREATE TABLE more (a)",
        "CREATE INDEX more ON records (tbl)",
        "CREATE TRIGGER more AFTER UPDATE ON state BEGIN DELETE FROM records; END",
        "CREATE VIEW more AS SELECT 1",
        "PRAGMA application_id = 1",
        "ALTER TABLE records ADD COLUMN more",
    ],
)
def test_a_database_changed_behind_its_back(path: Path, statement: str) -> None:
    write(path, statement)
    refused(path, KeystoreTamperedError)


def test_a_planted_journal_is_not_played_back(path: Path) -> None:
    path.with_name("keystore.db-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(600))
    refused(path, KeystoreTamperedError)


def test_a_log_without_its_database(path: Path) -> None:
    path.with_name("keystore.db-wal").write_bytes(b"frames")
    path.unlink()
    with unchanged(path), pytest.raises(KeystoreTamperedError):
        open_store(path)


def test_a_log_of_another_keystore(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "keystore.db"
    other.parent.mkdir()
    with create(other) as store:
        foreign = copy_files(other, tmp_path / "foreign")
        assert store.mark
    path.with_name("keystore.db-wal").write_bytes(foreign.with_name("keystore.db-wal").read_bytes())
    refused(path, KeystoreTamperedError)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeystoreIOError):
        Keystore.create(tmp_path / "nowhere" / "keystore.db", secret(), argon2=CHEAP)


def _hold(path: Path, ready: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event) -> None:
    with open_store(path):
        ready.set()
        assert done.wait(60)


def test_a_second_process(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(path, ready, done))
    holder.start()
    try:
        assert ready.wait(60)
        refused(path, KeystoreLockedError)
        path.read_bytes()  # opening and closing the file here must not drop the other's lock (it would drop a POSIX lock)
        refused(path, KeystoreLockedError)
    finally:
        done.set()
        holder.join(60)
    assert holder.exitcode == 0
    assert content_at(path) == RECORDS


def test_another_tool_that_holds_the_database(path: Path) -> None:
    """The keystore's own lock is free, SQLite's is not."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("BEGIN EXCLUSIVE")
    refused(path, KeystoreLockedError)
    database.execute("ROLLBACK")
    database.close()
    assert content_at(path) == RECORDS


@pytest.mark.parametrize("error", KeystoreError.__subclasses__(), ids=lambda error: error.code)
def test_every_error_has_its_own_code_exit_code_and_cure(error: type[KeystoreError]) -> None:
    others = [other for other in KeystoreError.__subclasses__() if other is not error]
    assert error.code not in {other.code for other in others}
    assert error.exit_code not in {other.exit_code for other in others}
    assert error.cure
