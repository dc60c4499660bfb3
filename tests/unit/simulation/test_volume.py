"""The simulated volume tells the truth: what a commit returned outlives kill and power cut, and what is dead writes nothing."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreIOError, KeystoreLockedError
from hermes_keystore import Keystore, Table
from hermes_keystore.place import wal_path
from hermes_keystore.wal import sync_file
from tests.component.keystore.kit import content, found_at
from tests.simulation.file_system import Device
from tests.simulation.volume import Snapshot, Volume, abandon
from tests.unit.simulation.crash_world import CrashWorld, Stopped, stop_at

WORLDS = 40
ROUNDS = 6
ENOUGH = 1000  # more writes and syncs than a creation makes
SAME = {(Table.CHAT, b"same"): b"\x02" * 100}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="hermes-test-") as made:
        yield Path(made)


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("HERMES_TEST_SEED", "0")) or random.randrange(2**32)


@pytest.fixture
def world(folder: Path, seed: int) -> Iterator[CrashWorld]:
    made = CrashWorld(folder / "volume", seed)
    made.commit()
    yield made
    made.end()


def play(folder: Path, seed: int) -> list[Snapshot]:
    world = CrashWorld(folder, seed)
    try:
        images = world.play(ROUNDS)
    except Exception as error:
        raise AssertionError(f"HERMES_TEST_SEED={seed}: {error!r}") from error
    finally:
        world.end()
    assert world.stops == ROUNDS
    return images


def play_many(folder: Path, seed: int) -> None:
    for number in range(WORLDS):
        play(folder / str(number), seed + number)


def operations_of_a_commit(world: CrashWorld) -> int:
    """Writes, and the one sync that is last, of a commit of SAME."""
    world.commit(SAME)
    world.commit(SAME)  # not the first one in its log, which is synced twice
    before = world.volume.writes + world.volume.syncs
    world.commit(SAME)
    return world.volume.writes + world.volume.syncs - before


def stop_before_the_sync_of_a_commit(world: CrashWorld) -> None:
    """All of it is written then."""
    world.volume.on_write = stop_at(operations_of_a_commit(world))
    with pytest.raises(Stopped):
        world.commit(SAME)
    world.volume.on_write = None
    abandon(world.store)


def test_what_was_acknowledged_outlives_every_crash(folder: Path, seed: int) -> None:
    play_many(folder, seed)


def test_a_volume_that_loses_what_was_synced_is_caught(folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: syncs that confirm nothing."""
    monkeypatch.setattr(Device, "sync", lambda *_: None)
    with pytest.raises(AssertionError, match="HERMES_TEST_SEED"):
        play_many(folder, seed)


def test_the_same_seed_leaves_the_same_bytes(folder: Path, seed: int) -> None:
    images = play(folder / "one", seed)
    assert images == play(folder / "two", seed)
    assert images != play(folder / "three", seed + 1)


def test_a_crash_anywhere_in_creating_leaves_nothing_in_the_way(world: CrashWorld, seed: int) -> None:
    volume = world.volume
    world.store.close()
    for at in range(1, ENOUGH):
        volume.lose()
        volume.on_write = stop_at(at)
        try:
            world.store = world.create()
        except Stopped:
            volume.on_write = None
            volume.cut_power(world.rng, world.rng.choice([0, 0.5, 1]))
            world.store = world.open_or_create()
            world.store.close()
        else:
            break
    volume.on_write = None
    assert at > 20, f"HERMES_TEST_SEED={seed}"


def test_a_snapshot_brings_the_old_mark_back(world: CrashWorld) -> None:
    mark, held, image = world.store.mark, content(world.store), world.volume.snapshot()
    world.commit()
    world.store.close()
    newer = world.volume.snapshot()
    world.volume.restore(image)
    assert world.volume.snapshot() == image
    world.store = world.open()
    assert (found_at(world.store), content(world.store)) == (mark, held)
    world.store.close()
    world.volume.restore(newer)
    world.volume.cut_power(world.rng, 0)
    world.recover()


def test_a_volume_in_use_is_neither_lost_nor_restored(world: CrashWorld) -> None:
    with pytest.raises(RuntimeError, match="is open"):
        world.volume.restore(world.volume.snapshot())
    world.store.close()
    world.volume.lose()
    assert world.volume.snapshot() == Snapshot({})
    world.store = world.create()


@pytest.mark.parametrize("fault", ["full", "broken"])
@pytest.mark.parametrize("lasting", [False, True], ids=["for a commit", "to the end"])
def test_a_volume_that_fails_stops_the_keystore_and_loses_nothing(world: CrashWorld, fault: str, lasting: bool) -> None:
    """From some write of a commit on, also in the last checkpoint of the close that follows."""
    operations = operations_of_a_commit(world)
    for at in range(1, operations + (fault == "broken")):  # a full volume can be synced
        world.volume.on_write = set_fault_at(at, world.volume, fault)
        with pytest.raises(KeystoreIOError):
            world.commit(SAME)
        world.volume.on_write = None
        setattr(world.volume, fault, lasting)
        with pytest.raises(KeystoreIOError, match="stopped"):
            world.store.commit({(Table.META, b""): b""})
        world.store.close()
        setattr(world.volume, fault, False)
        world.recover()
        world.commit()


def set_fault_at(count: int, volume: Volume, fault: str) -> Callable[[], None]:
    left = count

    def fail() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            setattr(volume, fault, True)

    return fail


def test_what_a_killed_process_did_not_sync_is_still_lost_when_the_power_goes(world: CrashWorld) -> None:
    stop_before_the_sync_of_a_commit(world)
    world.volume.kill()
    killed = world.volume.snapshot()
    world.volume.cut_power(world.rng, 0)
    assert world.volume.snapshot() != killed
    world.store = world.open()
    assert found_at(world.store) == world.acknowledged


def test_what_was_overwritten_and_not_synced_comes_back_when_the_power_goes(world: CrashWorld) -> None:
    synced = world.path.read_bytes()
    world.volume.on_write = stop_at(4)  # the log's sync, then pages into the database
    with pytest.raises(Stopped):
        world.store._truncate_log()
    world.volume.on_write = None
    assert world.path.read_bytes() != synced
    world.volume.cut_power(world.rng, 0)
    assert world.path.read_bytes() == synced
    abandon(world.store)
    world.recover()


def test_the_keystores_own_sync_confirms_as_sqlites_does(world: CrashWorld) -> None:
    world.store._floor = None  # the log is the only file that was not synced
    stop_before_the_sync_of_a_commit(world)
    world.volume.kill()
    killed = world.volume.snapshot()
    sync_file(wal_path(world.path))
    world.volume.cut_power(world.rng, 0)
    assert world.volume.snapshot() == killed
    world.store = world.open()
    assert found_at(world.store) == world.in_flight


def test_the_keystores_own_sync_fails_as_sqlites_does(world: CrashWorld) -> None:
    world.volume.broken = True
    with pytest.raises(OSError, match="Input/output"):
        sync_file(world.path.parent)
    world.volume.broken = False


def test_a_file_elsewhere_is_really_synced(world: CrashWorld, tmp_path: Path) -> None:
    world.volume.broken = True
    with (tmp_path / "file").open("wb") as file:
        os.fsync(file)
    world.volume.broken = False


def test_a_killed_process_keeps_its_lock_until_it_is_abandoned(world: CrashWorld) -> None:
    world.volume.kill()
    with pytest.raises(KeystoreLockedError):
        world.open()
    abandon(world.store)
    world.recover()


def test_a_stopped_process_changes_no_byte_before_it_is_killed(world: CrashWorld) -> None:
    world.volume.on_write = stop_at(3)
    with pytest.raises(Stopped):
        world.commit()
    world.volume.on_write = None
    image = world.volume.snapshot()
    with pytest.raises(KeystoreIOError, match="stopped"):
        world.store.rotate_generation()
    world.store.close()
    with pytest.raises(KeystoreIOError):
        world.open()
    assert world.volume.snapshot() == image
    world.volume.kill()
    world.recover()


def test_what_is_left_of_a_killed_process_changes_no_byte(world: CrashWorld) -> None:
    old, rows = world.store, world.store.load(Table.CHAT)
    next(rows)
    world.volume.kill()
    abandon(old)
    world.recover()
    world.commit()
    image = world.volume.snapshot()
    use_in_vain(old, rows)
    del old, rows
    gc.collect()
    assert world.volume.snapshot() == image
    world.commit()


def use_in_vain(old: Keystore, rows: Iterator[tuple[bytes, bytearray]]) -> None:
    for use in (lambda: old.commit(SAME), old.rotate_generation, old.wipe, lambda: next(rows)):
        with pytest.raises(KeystoreIOError):
            use()
    old.close()
    old._connection.close()


@pytest.mark.parametrize("seed", range(40))
def test_two_torn_commits_are_no_damage(tmp_path: Path, seed: int) -> None:
    """Each was cut off by a power failure; what the first left behind the log's end must not stand beside the second."""
    world = CrashWorld(tmp_path / "volume", seed)
    world.commit({(Table.CHAT, b"%d" % number): bytes(700) for number in range(12)})
    for records in (8, 2):
        before = world.volume.writes + world.volume.syncs
        world.commit({(Table.CHAT, b"%d" % number): bytes(700) for number in range(records)})
        world.volume.on_write = stop_at(world.volume.writes + world.volume.syncs - before)
        with contextlib.suppress(Stopped):
            world.commit({(Table.CHAT, b"%d" % number): world.rng.randbytes(700) for number in range(records)})
        world.volume.on_write = None
        abandon(world.store)
        world.volume.cut_power(world.rng, 0.5)
        world.recover()


def test_what_an_opening_shows_is_durable(tmp_path: Path) -> None:
    """A commit that was written and not synced: whoever opens the file may tell a witness of it."""
    for seed in range(20):
        world = CrashWorld(tmp_path / f"volume-{seed}", seed)
        world.store._floor = None  # which is synced with some commits and not with others
        world.commit({(Table.CHAT, b"one"): b"first"})
        before = world.volume.writes + world.volume.syncs
        world.commit({(Table.CHAT, b"one"): b"second"})
        world.volume.on_write = stop_at(world.volume.writes + world.volume.syncs - before)  # at its fsync
        with pytest.raises(Stopped):
            world.commit({(Table.CHAT, b"one"): b"third"})
        world.volume.on_write = None
        abandon(world.store)
        world.volume.kill()
        world.recover()
        shown = world.store.mark
        abandon(world.store)
        world.volume.cut_power(world.rng, 0.0)
        world.recover()
        assert found_at(world.store) == shown


@pytest.mark.parametrize(("kept", "left"), [(0.0, 0), (0.5, 2), (0.9, 4), (1.0, 4)])
def test_a_log_is_cut_between_two_commits(tmp_path: Path, kept: float, left: int) -> None:
    world = CrashWorld(tmp_path / "volume", 1)
    world.store._truncate_log()
    marks = [world.store.mark]
    for number in range(5):
        world.commit({(Table.CHAT, b"%d" % number): bytes(700)})
        marks.append(world.store.mark)
    abandon(world.store)
    world.volume.kill()
    assert world.volume.cut_log(kept) == 5 - left
    world.store = world.open()
    assert found_at(world.store) == marks[left]
    assert (world.store.rollback is None) == (left == 4)  # a floor lags behind by a second: the marks tell of the rest
    world.end()
