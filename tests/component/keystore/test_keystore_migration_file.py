"""Migration on real files: a golden keystore of every record version is migrated in one transaction, or left alone."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.rollback import RollbackSign
from hermes_keystore import Keystore, KeystoreMark, Table
from hermes_keystore.inspection import inspect_file
from hermes_keystore.place import floor_path
from tests.component.keystore.crash_recorder import Disk, Recorder
from tests.component.keystore.kit import PASSPHRASE, content, found_at, memo_backend, open_store, secret, unchanged
from tests.reference import keystore_reference as reference

GOLDEN = Path(__file__).parents[2] / "golden" / "keystore"
VERSIONS = range(1, RECORD_VERSIONS[Table.CHAT] + 1)


def expected(version: int) -> dict[tuple[Table, bytes], bytes]:
    """A golden file's content in the current record version."""
    found: dict[tuple[Table, bytes], bytes] = {
        (Table.IDENTITY, b"seed"): bytes(range(32)),
        (Table.TOMBSTONE, b"tombstone"): b"\x01",
    }
    for chat in reference.golden_chats():
        found[Table.CHAT, bytes.fromhex(chat["chat_id"])] = reference.encode_chat_record(reference.fill(chat, version), 3)
    return found


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[int, Path]:
    path = tmp_path / "keystore.db"
    shutil.copyfile(GOLDEN / f"record-v{request.param}.db", path)
    return request.param, path


def stored_versions(path: Path) -> set[int]:
    return {version for table, version, _ in reference.read_keystore(path, reference.GOLDEN_PASSPHRASE) if table == Table.CHAT}


def test_every_version_opens_and_becomes_the_current_one(golden: tuple[int, Path]) -> None:
    version, path = golden
    assert stored_versions(path) == {version}
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert content(store) == expected(version)
        assert store.rollback is None
        migrated = store.mark
    # It was made at commit 8; the opening, and that its floor is armed, are two more.
    assert migrated == (KeystoreMark(1, 10) if version == RECORD_VERSIONS[Table.CHAT] else KeystoreMark(2, 11))
    assert stored_versions(path) == {RECORD_VERSIONS[Table.CHAT]}
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert content(store) == expected(version)
        assert found_at(store) == migrated  # nothing is migrated twice


def test_a_rotation_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    """As it was left by the first Hermes that rotates in slices."""
    path = tmp_path / "keystore.db"
    shutil.copyfile(GOLDEN / "rotating-v3.db", path)
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert (store.mark.generation, store.rotating, store.left_to_rotate) == (2, True, 4)
        assert content(store) == expected(3)
        while not store.rotate_slice():
            pass
        assert content(store) == expected(3)
    assert stored_versions(path) == {3}


def test_a_golden_floor_is_one_that_the_keystore_has_reached(tmp_path: Path) -> None:
    """As a Hermes left both that armed its floor."""
    path = tmp_path / "keystore.db"
    for beside in ("", ".floor"):
        shutil.copyfile(GOLDEN / f"floored-v3.db{beside}", tmp_path / f"keystore.db{beside}")
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert store.rollback is None
        assert content(store) == expected(3)
        assert found_at(store) == KeystoreMark(1, 9)
    floor_path(path).unlink()
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert store.rollback is not None
        assert store.rollback.sign is RollbackSign.FLOOR_MISSING


def test_a_keystore_below_the_golden_floor_was_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    shutil.copyfile(GOLDEN / "floored-v3.db", path)
    before = path.read_bytes()
    open_store(path, reference.GOLDEN_PASSPHRASE).close()
    after = floor_path(path).read_bytes()
    path.write_bytes(before)
    floor_path(path).write_bytes(after)
    with open_store(path, reference.GOLDEN_PASSPHRASE) as store:
        assert store.rollback is not None
        assert store.rollback.sign is RollbackSign.BELOW_FLOOR


def test_the_reference_reads_the_floor_that_a_keystore_writes(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    with Keystore.create(path, secret(), backend=memo_backend()) as store:
        store.commit({(Table.META, b"k"): b"v"})
        last = store.mark.commit_counter
    records = reference.read_keystore(path, PASSPHRASE)
    armed, key = records[Table.HISTORY, 1, b"floor"][0], records[Table.HISTORY, 1, b"floor"][1:]
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    assert armed == 1
    assert reference.open_floor_file(raw[10:26], key, floor_path(path).read_bytes()) == last


def test_older_records_of_both_generations_are_migrated_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older Hermes was stopped in the middle of its rotation."""
    path = tmp_path / "keystore.db"
    chats = {bytes.fromhex(chat["chat_id"]): chat for chat in reference.golden_chats()}
    with monkeypatch.context() as patch:
        patch.setattr("hermes_keystore.rotating_file.SLICE_ROWS", 3)
        patch.setitem(RECORD_VERSIONS, Table.CHAT, 1)
        with Keystore.create(path, secret(), backend=memo_backend()) as store:
            store.commit({(Table.CHAT, chat_id): reference.encode_chat_record(chat, 1) for chat_id, chat in chats.items()})
            store.rotate_slice()
            assert store.rotating
    with Keystore.open(path, secret(), backend=memo_backend()) as store:
        assert not store.rotating
        assert content(store) == {
            (Table.CHAT, chat_id): reference.encode_chat_record(reference.fill(chat, 1), RECORD_VERSIONS[Table.CHAT])
            for chat_id, chat in chats.items()
        }
    assert inspect_file(path).records[Table.CHAT, RECORD_VERSIONS[Table.CHAT]] == len(chats)


def test_no_old_row_is_left_after_a_migration(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    shutil.copyfile(GOLDEN / "record-v1.db", path)
    with sqlite3.connect(path) as database:
        old = [sealed for (sealed,) in database.execute("SELECT sealed FROM records")]
    database.close()
    open_store(path, reference.GOLDEN_PASSPHRASE).close()
    after = path.read_bytes()
    assert not any(sealed[at : at + 24] in after for sealed in old for at in range(0, len(sealed) - 24, 24))


@pytest.mark.parametrize("broken", [b"\x01", b"\x01" + bytes(100), b"\x00"])
def test_a_record_that_cannot_be_migrated_leaves_the_file_as_it_was(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "keystore.db"
    good = reference.encode_chat_record(reference.golden_chats()[0], 1)
    records = [(2, 1, b"good", good), (2, 1, b"bad", broken)]
    reference.write_keystore(path, b"golden", records, random.Random(1))
    with unchanged(path), pytest.raises(KeystoreTamperedError, match="not well formed"):
        open_store(path, b"golden")


def test_a_crash_anywhere_in_a_migration_leaves_the_old_records_or_the_new(
    fast_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(2**32)
    rng, path = random.Random(seed), fast_path / "recorded" / "keystore.db"
    path.parent.mkdir()
    shutil.copyfile(GOLDEN / "record-v1.db", path)
    disk = Disk({path.name: path.read_bytes()})
    recorder = Recorder(path.parent)
    with monkeypatch.context() as patch:
        recorder.patch(patch)
        Keystore.open(path, secret(b"golden"), backend=memo_backend(b"golden"), connect=recorder.connect).close()
    image_path = fast_path / "image" / "keystore.db"
    generations = set()
    for at, op in enumerate(recorder.ops, start=1):
        disk.apply(op)
        for image in (disk.kill_image(), *(disk.power_loss_image(rng, rng.random()) for _ in range(4))):
            shutil.rmtree(image_path.parent, ignore_errors=True)
            image_path.parent.mkdir()
            for name, data in image.items():
                image_path.with_name(name).write_bytes(data)
            with Keystore.open(image_path, secret(b"golden"), backend=memo_backend(b"golden")) as store:
                assert content(store) == expected(1), f"seed {seed}, cut after operation {at} ({op.kind} {op.name})"
                assert store.rollback is None
                generations.add(store.mark.generation)
    recorder.close()
    assert generations == {2}
