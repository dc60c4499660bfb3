"""A keystore's life: create, commit, load, rotate, reopen, wipe, and use after the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import (
    KeystoreBadPassphraseError,
    KeystoreError,
    KeystoreExistsError,
    KeystoreIOError,
    KeystoreLockedError,
    KeystoreMissingError,
    KeystoreTamperedError,
)
from hermes_core.ids import NodeId
from hermes_core.keystore.header import open_generations
from hermes_keystore import Keystore, KeystoreMark, Table
from hermes_node.keystore.identity import load_identity, new_identity
from tests.component.keystore.kit import (
    CHEAP,
    PASSPHRASE,
    RECORDS,
    content,
    content_at,
    copy_files,
    create,
    file_bytes,
    found_at,
    open_store,
    secret,
)
from tests.reference import keystore_reference as reference


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


def names(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


def test_what_is_committed_comes_back(path: Path) -> None:
    with create(path) as store:
        assert content(store) == RECORDS
        file_id, mark = store.file_id, store.mark
    assert names(path) == {"keystore.db", "keystore.db.floor", "keystore.db.lock"}
    with open_store(path) as store:
        assert content(store) == RECORDS
        assert (store.file_id, found_at(store)) == (file_id, mark)
        assert store.get(Table.CHAT, b"chat-one") == bytearray(RECORDS[Table.CHAT, b"chat-one"])
        assert store.get(Table.CHAT, b"chat-zero") is None
        assert store.get(Table.TOMBSTONE, b"chat-one") is None


def test_the_independent_reference_reads_the_same(path: Path) -> None:
    create(path).close()
    found = reference.read_keystore(path, PASSPHRASE)
    others = {(Table(table), key): value for (table, _, key), value in found.items() if table != Table.HISTORY}
    assert others == RECORDS


def test_a_commit_puts_replaces_and_deletes_at_once(path: Path) -> None:
    with create(path) as store:
        before = store.mark
        mark = store.commit(
            {(Table.CHAT, b"chat-one"): b"new", (Table.CHAT, b"chat-three"): b"three", (Table.META, b"both"): b"put wins"},
            [(Table.CHAT, b"chat-two"), (Table.CHAT, b"never was"), (Table.META, b"both")],
        )
        assert mark == store.mark == KeystoreMark(before.generation, before.commit_counter + 1)
        assert store.record_count(Table.CHAT) == 2
        expected = content(store)
    changed = {
        (Table.CHAT, b"chat-one"): b"new",
        (Table.CHAT, b"chat-three"): b"three",
        (Table.META, b"both"): b"put wins",
    }
    gone = (Table.CHAT, b"chat-two")
    assert expected == {place: value for place, value in (RECORDS | changed).items() if place != gone}
    assert content_at(path) == expected


def test_an_empty_commit_is_no_transaction(path: Path) -> None:
    with create(path) as store:
        mark, fsyncs = store.mark, store.fsyncs
        assert store.commit({}) == mark
        assert (store.mark, store.fsyncs) == (mark, fsyncs)


def test_loading_goes_on_while_commits_happen(path: Path) -> None:
    with Keystore.create(path, secret(), argon2=CHEAP) as store:
        store.commit({(Table.CHAT, bytes([number % 256, number // 256])): b"v" for number in range(700)})
        seen = 0
        for key, _ in store.load(Table.CHAT):
            seen += 1
            store.commit({(Table.WITNESS, key): b""}) if seen % 100 == 0 else None
        assert seen == 700


def test_after_a_kill_the_log_is_recovered(path: Path, tmp_path: Path) -> None:
    with create(path) as store:
        image = copy_files(path, tmp_path / "image")
        mark = store.mark
    assert (image.parent / "keystore.db-wal").stat().st_size > 0
    with open_store(image) as store:
        assert content(store) == RECORDS
        assert found_at(store) == mark


def test_rotation_keeps_content_and_raises_the_generation(path: Path) -> None:
    with create(path) as store:
        before = store.mark
        store.rotate_generation()
        store.rotate_generation()
        assert store.mark == KeystoreMark(before.generation + 2, before.commit_counter + 2)
        assert content(store) == RECORDS
        store.commit({(Table.CHAT, b"chat-three"): b"three"})
    assert content_at(path) == RECORDS | {(Table.CHAT, b"chat-three"): b"three"}


def test_a_new_passphrase_replaces_the_old_one_and_touches_no_record(path: Path) -> None:
    with create(path) as store:
        store._truncate_log()
        sealed = store._connection.execute("SELECT * FROM records").fetchall()
        store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
        assert store._connection.execute("SELECT * FROM records").fetchall() == sealed
        store.commit({(Table.META, b"after"): b"rotation"})
    with pytest.raises(KeystoreBadPassphraseError):
        open_store(path)
    assert content_at(path, b"new") == RECORDS | {(Table.META, b"after"): b"rotation"}


def test_an_old_header_with_its_passphrase_opens_no_later_generation(path: Path) -> None:
    """Re-wrapping changes the master key: who kept the old header and passphrase cannot follow a generation rotation."""
    with create(path) as store:
        old_master = store._unsealed.master.copy()
        store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
        store.rotate_generation()
        new_header = store._unsealed.header
        assert open_generations(new_header, store._unsealed.master)[0][0] == 2
    with pytest.raises(KeystoreTamperedError, match="MAC"):
        open_generations(new_header, old_master)


def test_creating_never_overwrites(path: Path) -> None:
    create(path).close()
    before = file_bytes(path)
    with pytest.raises(KeystoreExistsError):
        Keystore.create(path, secret(), argon2=CHEAP)
    assert file_bytes(path) == before


def test_creating_next_to_a_left_over_log_is_refused(path: Path) -> None:
    path.with_name("keystore.db-wal").write_bytes(b"somebody's frames")
    with pytest.raises(KeystoreExistsError):
        Keystore.create(path, secret(), argon2=CHEAP)


def test_a_missing_keystore_is_said_to_be_missing_and_leaves_no_lock(path: Path) -> None:
    with pytest.raises(KeystoreMissingError):
        open_store(path)
    assert names(path) == set()


def test_two_openers_in_one_process_exclude_each_other(path: Path) -> None:
    with create(path), pytest.raises(KeystoreLockedError):
        open_store(path)
    open_store(path).close()


def test_wiping_leaves_nothing(path: Path) -> None:
    store = create(path)
    held = path.open("rb")  # another name for the same blocks, as an examiner of the volume would have
    store.wipe()
    assert names(path) == set()
    assert set(held.read()) == {0}
    held.close()
    Keystore.create(path, secret(), argon2=CHEAP).close()


def test_a_closed_keystore_refuses_everything(path: Path) -> None:
    store = create(path)
    store.close()
    store.close()
    for use in (
        lambda: store.commit({(Table.META, b"k"): b"v"}),
        lambda: store.get(Table.META, b"k"),
        lambda: list(store.load(Table.META)),
        store.rotate_generation,
        lambda: store.rotate_passphrase(secret()),
        store.wipe,
    ):
        with pytest.raises(KeystoreIOError, match="closed"):
            use()


def test_a_value_too_large_is_refused_and_the_keystore_goes_on(path: Path) -> None:
    with create(path) as store:
        with pytest.raises(KeystoreError, match="larger"):
            store.commit({(Table.META, b"k"): bytes((1 << 20) + 1)})
        store.commit({(Table.META, b"k"): bytes(1 << 20)})
    assert content_at(path)[Table.META, b"k"] == bytes(1 << 20)


def test_files_are_private(path: Path) -> None:
    with create(path):
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_path_with_characters_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "a ?mode=memory#%41.db"
    create(path).close()
    assert content_at(path) == RECORDS


def test_a_keystore_without_an_identity_is_no_nodes(tmp_path: Path) -> None:
    """It is created with one: whoever made a new one in it would hide that the old one is lost."""
    with create(tmp_path / "keystore.db") as store:
        before = content(store)
        with pytest.raises(KeystoreTamperedError, match="no identity") as caught:
            load_identity(store, NodeId("node-0"))
        assert "newest volume" in caught.value.cure
        assert content(store) == before
    with (
        new_identity(SYSTEM_RANDOM) as records,
        Keystore.create(tmp_path / "new.db", secret(), records=records, argon2=CHEAP) as store,
    ):
        first = load_identity(store, NodeId("node-0")).identity.public_key
        assert load_identity(store, NodeId("node-0")).identity.public_key == first
