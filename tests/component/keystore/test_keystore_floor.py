"""The floor beside a keystore: commits that were answered cannot be taken away unseen, and no honest end is ever accused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import KeystoreExistsError, KeystoreIOError, KeystoreMissingError, KeystoreTamperedError
from hermes_core.keystore.floor import FLOOR_FILE_BYTES, FLOOR_INTERVAL_S
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark
from hermes_core.keystore.rollback import RollbackSign
from hermes_keystore import Keystore, Table
from hermes_keystore.creation import write_new_keystore
from hermes_keystore.database import connect_sqlite
from hermes_keystore.floor_file import FloorFile
from hermes_keystore.history import FLOOR, LINEAGE
from hermes_keystore.inspection import audit_file
from hermes_keystore.place import floor_path
from tests.component.keystore.kit import CHEAP, content, copy_files, create, found_at, memo_backend, open_store, secret

NODE_KEY = b"k" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def open_at(path: Path, clock: Callable[[], float]) -> Keystore:
    return Keystore.open(path, secret(), backend=memo_backend(), now=clock)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A keystore as a kill leaves it: three commits in its log, the floor at the last one."""
    path, clock = tmp_path / "made" / "keystore.db", itertools.count(step=2)
    path.parent.mkdir()
    Keystore.create(path, secret(), backend=memo_backend(), page_bytes=1024).close()
    with open_at(path, lambda: float(next(clock))) as store:
        for number in range(3):
            store.commit({(Table.META, b"%d" % number): b"\x02" * 900})
        return copy_files(path, tmp_path / "image")


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def commit_ends(path: Path) -> list[int]:
    """Where the log may be cut so that SQLite sees nothing amiss."""
    log, frame = log_of(path).read_bytes(), 24 + 1024
    return [at + frame for at in range(32, len(log), frame) if log[at + 4 : at + 8] != bytes(4)]


def test_a_log_cut_between_two_commits_removed_or_emptied_is_a_rollback(made: Path, tmp_path: Path) -> None:
    ends = commit_ends(made)
    assert len(ends) == 4
    for number, cut in enumerate([None, 0, 32, *ends[:-1]]):
        image = copy_files(made, tmp_path / f"cut-{number}")
        if cut is None:
            log_of(image).unlink()
        else:
            log_of(image).write_bytes(log_of(made).read_bytes()[:cut])
        assert _judged(image, memo_backend()) is RollbackSign.BELOW_FLOOR
        with open_store(image) as store:
            assert store.rollback is not None
            assert store.rollback.sign is RollbackSign.BELOW_FLOOR
            assert store.rollback.proven > store.rollback.found == found_at(store).commit_counter


def test_the_intact_image_is_none(made: Path) -> None:
    with open_store(made) as store:
        assert store.rollback is None


@pytest.mark.parametrize("change", ["removed", "emptied", "cut", "longer", "another's", "zeroed"])
def test_a_floor_that_is_not_ours_is_a_rollback(made: Path, tmp_path: Path, change: str) -> None:
    floor = floor_path(made)
    data = floor.read_bytes()
    assert len(data) == FLOOR_FILE_BYTES
    create(tmp_path / "other.db").close()
    if change == "removed":
        floor.unlink()
    else:
        other = floor_path(tmp_path / "other.db").read_bytes()
        forged = {"emptied": b"", "cut": data[:-1], "longer": data + b"\0", "another's": other, "zeroed": bytes(len(data))}
        floor.write_bytes(forged[change])
    with open_store(made) as store:
        assert store.rollback is not None
        missing = change == "removed"
        assert store.rollback.sign is (RollbackSign.FLOOR_MISSING if missing else RollbackSign.FLOOR_DAMAGED)
        assert "older copy" in store.rollback.detail


def test_every_bit_of_the_floor_counts(made: Path) -> None:
    floor, backend = floor_path(made), memo_backend()
    data = floor.read_bytes()
    for at in range(len(data)):
        floor.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        assert _judged(made, backend) is RollbackSign.FLOOR_DAMAGED, at
    floor.write_bytes(data)
    assert _judged(made, backend) is None


def _judged(path: Path, backend: object) -> RollbackSign | None:
    """As an opening would, without committing it."""
    rollback = audit_file(path, backend).rollback  # type: ignore[arg-type]
    return None if rollback is None else rollback.sign


def _strip(path: Path) -> None:
    """Only the database file is left of a keystore."""
    log_of(path).unlink()
    floor_path(path).unlink()


def test_a_database_alone_says_that_more_must_be_there_however_early_its_log_is_lost(tmp_path: Path) -> None:
    """As whoever removes log and floor of a node that was killed before its first checkpoint leaves it."""
    path, born = tmp_path / "keystore.db", {(Table.IDENTITY, b"node"): b"\x11" * 32}
    with Keystore.create(path, secret(), backend=memo_backend(), records=born) as store:
        store.commit({(Table.META, b"k"): b"v"})
        image = copy_files(path, tmp_path / "image")
    _strip(image)
    assert _judged(image, memo_backend()) is RollbackSign.FLOOR_MISSING
    with open_store(image) as store:
        assert store.rollback is not None
        assert store.rollback.sign is RollbackSign.FLOOR_MISSING
        assert content(store) == born, "what it was created with is in the database file"


def test_it_says_so_from_the_moment_it_is_there(tmp_path: Path) -> None:
    """Made, and killed before it was opened."""
    path = tmp_path / "keystore.db"
    write_new_keystore(path, memo_backend(), 1024, connect_sqlite, SYSTEM_RANDOM, {(Table.IDENTITY, b"node"): b"\x11" * 32})
    assert _judged(path, memo_backend()) is None
    floor_path(path).unlink()
    assert _judged(path, memo_backend()) is RollbackSign.FLOOR_MISSING


def test_so_does_one_of_an_older_hermes_as_soon_as_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    with Keystore.create(path, secret(), backend=memo_backend()) as store:
        store.commit({}, [FLOOR, LINEAGE])
        store._floor = None  # an older Hermes writes none
    floor_path(path).unlink()
    with open_store(path) as store:
        assert store.rollback is None
        image = copy_files(path, tmp_path / "image")
    _strip(image)
    assert _judged(image, memo_backend()) is RollbackSign.FLOOR_MISSING


def test_a_database_that_was_moved_away_from_its_log_and_floor(tmp_path: Path) -> None:
    with create(tmp_path / "keystore.db"):
        image = copy_files(tmp_path / "keystore.db", tmp_path / "image")
    elsewhere = tmp_path / "elsewhere" / "moved.db"
    elsewhere.parent.mkdir()
    image.rename(elsewhere)
    for use in (open_store, lambda path: Keystore.create(path, secret(), argon2=CHEAP)):
        with pytest.raises((KeystoreTamperedError, KeystoreExistsError)):
            use(image)
    image.symlink_to(elsewhere)
    with pytest.raises(KeystoreTamperedError, match="beside the link") as caught:
        open_store(image)
    assert str(elsewhere.parent) in caught.value.cure
    assert _judged(elsewhere, memo_backend()) is RollbackSign.FLOOR_MISSING


def test_a_dangling_link_in_the_place_of_log_or_floor_is_something_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    for beside in (log_of(path), floor_path(path)):
        beside.symlink_to(tmp_path / "nowhere")
        with pytest.raises(KeystoreTamperedError, match="gone"):
            open_store(path)
        with pytest.raises(KeystoreExistsError):
            Keystore.create(path, secret(), argon2=CHEAP)
        beside.unlink()


def test_an_older_image_with_its_own_floor_is_left_to_the_marks_and_without_it_is_not(made: Path, tmp_path: Path) -> None:
    old = copy_files(made, tmp_path / "old")
    with open_store(made) as store:
        store.commit({(Table.META, b"k"): b"v"})
    newest = floor_path(made).read_bytes()
    with open_store(copy_files(old, tmp_path / "both")) as store:
        assert store.rollback is None
    floor_path(old).write_bytes(newest)
    with open_store(old) as store:
        assert store.rollback is not None


def test_a_rollback_waits_until_somebody_settles_it_whoever_opens_the_keystore(made: Path) -> None:
    log_of(made).unlink()
    with open_store(made) as store:
        first = store.rollback
    with open_store(made) as store:
        assert store.rollback == first is not None
        store.rotate_passphrase(secret(b"new"), argon2=CHEAP)
        store.rotate_generation()
    with open_store(made, b"new") as store:
        assert store.rollback == first
        store.settle_rollback()
        store.settle_rollback()
    with open_store(made, b"new") as store:
        assert store.rollback is None


def test_rotating_passphrase_and_generation_keeps_the_floor_right(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    passphrase = b"p0"
    Keystore.create(path, secret(passphrase), argon2=CHEAP).close()
    for number in range(1, 4):
        with open_store(path, passphrase) as store:
            assert store.rollback is None
            passphrase = b"p%d" % number
            store.rotate_passphrase(secret(passphrase), argon2=CHEAP)
            store.rotate_generation()
            copy = copy_files(path, tmp_path / str(number))
        with open_store(copy, passphrase) as store:
            assert store.rollback is None


def test_the_floor_follows_once_a_second_and_at_once_in_a_new_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, written = tmp_path / "keystore.db", Clock(), []
    create(path).close()
    really = FloorFile.write

    def write(self: FloorFile, counter: int, *, durably: bool) -> None:
        written.append((counter, durably))
        really(self, counter, durably=durably)

    monkeypatch.setattr(FloorFile, "write", write)
    store = open_at(path, clock)
    assert written == [(store.mark.commit_counter, True)]
    written.clear()
    for _ in range(5):
        store.commit({(Table.META, b"k"): b"v"})
    assert written == []
    clock.now += FLOOR_INTERVAL_S
    for _ in range(5):
        store.commit({(Table.META, b"k"): b"v"})
    assert written == [(store.mark.commit_counter - 4, False)]
    store._truncate_log()
    store.commit({(Table.META, b"k"): b"v"})
    assert written[1:] == [(store.mark.commit_counter, True)]
    store.commit({(Table.META, b"k"): b"v"})
    last = store.mark.commit_counter
    store.close()
    assert written[2:] == [(last, True)], "closing leaves the floor at the last commit"


def test_a_first_commit_of_a_log_whose_floor_cannot_be_written_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keystore.db"
    store = create(path)
    store._truncate_log()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FloorFile, "write", fail)
    for _ in range(2):
        with pytest.raises(KeystoreIOError):
            store.commit({(Table.META, b"k"): b"v"})
    store.close()


def test_a_database_that_is_gone_beside_its_floor_is_not_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    create(path).close()
    path.unlink()
    with pytest.raises(KeystoreTamperedError, match="gone") as caught:
        open_store(path)
    assert "move what lies beside it away" in caught.value.cure
    with pytest.raises(KeystoreExistsError):
        Keystore.create(path, secret(), argon2=CHEAP)


@pytest.mark.parametrize("at", ["renamed", "floor removed"])
def test_a_wipe_that_was_interrupted_is_finished_by_the_next_creation(tmp_path: Path, at: str) -> None:
    path = tmp_path / "keystore.db"
    create(path).close()
    path.rename(path.with_name("keystore.db.tmp"))
    if at == "floor removed":
        floor_path(path).unlink()
    with pytest.raises(KeystoreMissingError):
        open_store(path)
    with Keystore.create(path, secret(), argon2=CHEAP) as store:
        assert content(store) == {}
    with open_store(path) as store:
        assert store.rollback is None


def test_marks_of_copies_are_judged_and_counting_goes_on_above_them(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    with create(path) as store:
        store.let_marks_out()
        mine = Mark(NODE_KEY, store.open_id, 1, store.mark.commit_counter, b"")
        assert store.judge(mine, NODE_KEY) is MarkVerdict.FINE
        image = copy_files(path, tmp_path / "image")
        for _ in range(9):
            store.commit({(Table.META, b"k"): b"v"})
        lost = Mark(NODE_KEY, store.open_id, 1, store.mark.commit_counter, b"")
    with open_store(image) as store:
        assert store.judge(mine, NODE_KEY) is MarkVerdict.FINE
        assert store.judge(lost, b"o" * 32) is MarkVerdict.IGNORED
        assert [store.judge(lost, NODE_KEY) for _ in range(2)] == [MarkVerdict.ROLLED_BACK, MarkVerdict.IGNORED]
        assert store.mark.commit_counter == lost.commit_counter + 1
        assert store.rollback is not None
        assert store.rollback.by_mark
    with open_store(image) as store:
        assert store.rollback is not None, "nobody acted on it yet"
        assert store.judge(lost, NODE_KEY) is MarkVerdict.IGNORED
        store.settle_rollback()
    with open_store(path) as store:
        assert store.judge(lost, NODE_KEY) is MarkVerdict.FINE


def test_what_an_opening_reached_is_what_was_durable_when_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    with create(path) as store:
        store.let_marks_out()
        counter, open_id = store.mark.commit_counter, store.open_id
        image = copy_files(path, tmp_path / "image")
    with open_store(image) as store:
        before, now = store._begun.lineage.openings[-2:]
        assert (before.open_id, before.reached) == (open_id, counter)
        assert now.start == counter + 1
        assert len({opening.open_id for opening in store._begun.lineage.openings}) == 2


def test_before_a_mark_leaves_the_node_it_is_durable_that_one_may(tmp_path: Path) -> None:
    """Else the next opening takes it for another copy's. Openings that told nobody are not remembered one by one."""
    path = tmp_path / "keystore.db"
    with create(path) as store:
        assert not store.marks_may_leave
        store.let_marks_out()
        told = store.mark
        store.let_marks_out()
        assert store.mark == told, "once an opening"
        mine = Mark(NODE_KEY, store.open_id, 1, told.commit_counter, b"")
        image = copy_files(path, tmp_path / "image")  # killed at once
    for number in range(3):
        with open_store(image) as store:
            assert not store.marks_may_leave
            assert len(store._begun.lineage.openings) == 2, number
            assert store.foresee(mine, NODE_KEY) is MarkVerdict.FINE
