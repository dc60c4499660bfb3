"""A rotation in slices: commits, restarts and attacks in the middle of it, what is left of the former generation at its end."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreError, KeystoreTamperedError
from hermes_core.keystore.sealing import RecordSealer
from hermes_keystore import Keystore, Table
from hermes_keystore.inspection import audit_file, inspect_file
from tests.component.keystore.kit import (
    CHEAP,
    PASSPHRASE,
    content,
    content_at,
    copy_files,
    file_bytes,
    memo_backend,
    open_store,
    secret,
)
from tests.component.keystore.slices import CHATS, ROWS, begun, filled, finish, of_former, raw_rows
from tests.reference import keystore_reference as reference

pytestmark = pytest.mark.usefixtures("small_slices")


def test_a_slice_looks_at_so_many_rows_and_no_more(tmp_path: Path) -> None:
    with filled(tmp_path / "keystore.db") as store:
        total = left = store.records
        while not store.rotate_slice():
            assert left - ROWS <= store.left_to_rotate <= left
            left = store.left_to_rotate
            assert store.mark.generation == 2
        assert left <= ROWS
        assert (store.left_to_rotate, store.records, store._unsealed.former) == (0, total, None)
        assert content(store) == CHATS


def test_a_slice_ends_in_time_whatever_its_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by 3 ms with every look: the second row is the last of a slice of 5 ms."""
    monkeypatch.setattr("hermes_keystore.rotating_file.SLICE_S", 0.005)
    monkeypatch.setattr("hermes_keystore.rotating_file.SLICE_ROWS", 1_000)
    filled(tmp_path / "keystore.db").close()
    clock = (number * 0.003 for number in itertools.count())
    with Keystore.open(tmp_path / "keystore.db", secret(), now=lambda: next(clock)) as store:
        before = store.records
        store.rotate_slice()
        assert before - store.left_to_rotate == 2
        finish(store)
        assert content(store) == CHATS


@pytest.mark.parametrize("run", range(6))
def test_commits_and_restarts_between_slices_change_nothing_else(tmp_path: Path, run: int) -> None:
    seed = int(os.environ.get("HERMES_TEST_SEED", "0")) or random.randrange(2**32) + run
    rng = random.Random(seed)
    path = tmp_path / "keystore.db"
    store, known = filled(path), dict(CHATS)
    for _ in range(90):
        action = rng.choice(["slice", "slice", "commit", "commit", "reopen", "look"])
        if action == "slice":
            store.rotate_slice()
        elif action == "commit":
            names = [(Table.TOMBSTONE, b"%d" % rng.randrange(30)) for _ in range(rng.randrange(1, 4))]
            puts = {name: b"\x01" + rng.randbytes(rng.randrange(600)) for name in names}
            deletes = {(Table.TOMBSTONE, b"%d" % rng.randrange(30)) for _ in range(rng.randrange(3))}
            store.commit(puts, deletes)
            known = {name: value for name, value in known.items() if name not in deletes} | puts
        elif action == "reopen":
            rotating, left = store.rotating, store.left_to_rotate
            store.close()
            assert audit_file(path, memo_backend()).records[Table.TOMBSTONE] == len(known)
            store = open_store(path)
            assert store.rollback is None
            assert rotating == store.rotating
            assert store.left_to_rotate >= left - 3  # the opening itself commits what is history, under the new generation
        assert content(store) == known, f"HERMES_TEST_SEED={seed}"
        assert {name: bytes(store.get(*name) or b"") for name in known} == known
        assert store.record_count(Table.TOMBSTONE) == len(known)
    finish(store)
    assert store.mark.generation > 2
    store.close()
    assert content_at(path) == known


def test_a_node_that_restarts_after_each_slice_comes_to_the_end(tmp_path: Path) -> None:
    """What was sealed anew is not looked at again: the rotation goes on where it was."""
    store = filled(tmp_path / "keystore.db")
    for restarts in range(len(CHATS) * 2):
        left = store.left_to_rotate
        if store.rotate_slice():
            break
        assert left == 0 or store.left_to_rotate < left, restarts
        store.close()
        store = open_store(store.path)
    assert not store.rotating
    assert content(store) == CHATS
    store.close()


def test_a_row_that_goes_under_a_running_rotation_stops_the_keystore(tmp_path: Path) -> None:
    """The former generation is never dropped before each row that it counts was seen."""
    store = begun(tmp_path / "keystore.db")
    store._connection.execute("DELETE FROM records WHERE row_key = ?", (of_former(store)[0][0],))
    with pytest.raises(KeystoreTamperedError, match="former generation"):
        finish(store)
    with pytest.raises(KeystoreError, match="stopped"):
        store.commit({(Table.META, b"k"): b"v"})
    store.close()


def test_what_was_deleted_opens_as_long_as_its_generation_lives_and_then_to_nobody(tmp_path: Path) -> None:
    """Rows and whole files kept elsewhere; the passphrase is known."""
    store = begun(tmp_path / "keystore.db")
    former = of_former(store)
    store.commit({}, CHATS)
    sealer = RecordSealer(store._unsealed.former) if store._unsealed.former else None
    assert sealer is not None
    assert all(sealer.open(*row)[1] in CHATS.values() for row in former)  # the control: the key is still there
    (header,) = store._connection.execute("SELECT body FROM header").fetchone()
    keys = reference.unwrap_generations(header, PASSPHRASE)
    assert [number for number, _ in keys] == [2, 1]
    assert reference.open_record(store.file_id, 1, keys[1][1], former[0])[1] in CHATS.values()
    assert store.rotate_slice() is False or not store.rotating
    if store.rotating:
        finish(store)
    (header_after,) = store._connection.execute("SELECT body FROM header").fetchone()
    assert [number for number, _ in reference.unwrap_generations(header_after, PASSPHRASE)] == [2]
    for raw in (b"".join(file_bytes(store.path).values()), closed(store)):
        assert not any(sealed[at : at + 24] in raw for *_, sealed in former for at in range(0, len(sealed) - 24, 24))
        assert not any(row_key in raw for row_key, *_ in former)
        assert header[-160:-40] not in raw  # the sealed pair of keys
        assert not any(header[at : at + 24] in raw for at in range(len(header) - 160, len(header) - 64))


def test_the_keys_of_a_generation_that_is_dropped_are_wiped(tmp_path: Path) -> None:
    with begun(tmp_path / "keystore.db") as store:
        former = store._unsealed.former
        assert former is not None
        finish(store)
        assert all(key.wiped for key in (former.record, former.state, former.row_key, former.set_digest))
        assert not store._unsealed.keys.record.wiped


def closed(store: Keystore) -> bytes:
    store.close()
    return b"".join(file_bytes(store.path).values())


def test_loading_while_rows_are_sealed_anew_is_an_error_and_not_a_part_of_them(tmp_path: Path) -> None:
    with filled(tmp_path / "keystore.db") as store:
        records = store.load(Table.TOMBSTONE)
        next(records)
        store.rotate_slice()
        with pytest.raises(KeystoreError, match="while they were being loaded"):
            list(records)
        assert content(store) == CHATS


def test_another_passphrase_in_the_middle_of_a_rotation(tmp_path: Path) -> None:
    store = begun(tmp_path / "keystore.db")
    (old,) = store._connection.execute("SELECT body FROM header").fetchone()
    store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
    raw = b"".join(file_bytes(store.path).values())
    assert not any(old[at : at + 24] in raw for at in range(29, len(old) - 24))
    assert store.rotating
    store.close()
    with open_store(store.path, b"new") as store:
        assert store.rotating
        finish(store)
        assert content(store) == CHATS


def test_a_whole_rotation_ends_the_one_that_is_under_way_and_makes_one_of_its_own(tmp_path: Path) -> None:
    """What `hermesctl keystore rotate-generation` does after a crash in the middle of a node's rotation."""
    store = begun(tmp_path / "keystore.db")
    image = copy_files(store.path, tmp_path / "image")
    store.close()
    assert sum(inspect_file(image).records.values()) == store.records
    with open_store(image) as store:
        assert store.rotating
        former = raw_rows(store)
        store.rotate_generation()
        assert (store.rotating, store.mark.generation) == (False, 3)
        assert content(store) == CHATS
        raw = b"".join(file_bytes(store.path).values())
        assert not any(row_key in raw for row_key, *_ in former)


def test_an_image_of_the_middle_opens_with_what_was_committed(tmp_path: Path) -> None:
    """Every commit of a rotation as a crash right after it would leave it, and the same with its log cut off one commit."""
    store, images = filled(tmp_path / "keystore.db"), 0
    while not store.rotate_slice():
        image = copy_files(store.path, tmp_path / f"image {images}")
        with open_store(image) as found:
            assert found.rotating
            assert content(found) == CHATS
            finish(found)
        assert content_at(image) == CHATS
        shutil.rmtree(image.parent)
        images += 1
    store.close()
    assert images > len(CHATS) / ROWS
