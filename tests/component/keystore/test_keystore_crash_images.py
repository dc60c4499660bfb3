"""Crash consistency: a workload's writes and syncs are recorded, cut after every single one, and every disk that could be left
is opened. What was acknowledged, and so may have been put on the wire, is there; what is there is exactly one committed state.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreBadPassphraseError, KeystoreMissingError
from hermes_keystore import Keystore, KeystoreMark, Table
from tests.component.keystore.crash_recorder import Disk, Recorder
from tests.component.keystore.kit import PASSPHRASE, MemoBackend, content, found_at, memo_backend, secret

Content = dict[tuple[Table, bytes], bytes]

NEW_PASSPHRASE = b"another passphrase"
SUBSETS_A_CUT = 4


@dataclass
class Workload:
    """What was recorded, every state that was ever committed, and after which operation each was acknowledged."""

    recorder: Recorder
    rng: random.Random
    states: dict[KeystoreMark, Content] = field(default_factory=dict)
    acknowledged: list[tuple[int, KeystoreMark]] = field(default_factory=list)
    created_at: int = 0

    def run(self, path: Path) -> None:
        store = Keystore.create(path, secret(), backend=memo_backend(), page_bytes=1024, connect=self.recorder.connect)
        self._acknowledge(store)
        self.created_at = len(self.recorder.ops)
        self._commits(store, 6)
        store.rotate_generation()
        self._acknowledge(store)
        self._commits(store, 4)
        store._truncate_log()
        self._commits(store, 4)
        store.rewrap(memo_backend(NEW_PASSPHRASE))
        self._acknowledge(store)
        self._commits(store, 2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hermes_keystore.rotating_file.SLICE_ROWS", 6)
            while not store.rotate_slice():
                self._acknowledge(store)
                self._commits(store, 1)
            self._acknowledge(store)
        store.close()

    def _commits(self, store: Keystore, count: int) -> None:
        for _ in range(count):
            puts = {
                (Table.CHAT, b"%d" % self.rng.randrange(12)): b"\x02" + self.rng.randbytes(self.rng.randrange(900))
                for _ in range(self.rng.randrange(1, 5))
            }
            store.commit(puts, {(Table.CHAT, b"%d" % self.rng.randrange(12))} - set(puts))
            self._acknowledge(store)

    def _acknowledge(self, store: Keystore) -> None:
        self.states[store.mark] = content(store)
        self.acknowledged.append((len(self.recorder.ops), store.mark))

    def acknowledged_by(self, op: int) -> int:
        """The highest commit counter somebody may have been told of before operation `op`."""
        return max((mark.commit_counter for at, mark in self.acknowledged if at <= op), default=0)


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("HERMES_TEST_SEED", "0")) or random.randrange(2**32)


@pytest.fixture
def workload(fast_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Iterator[Workload]:
    folder = fast_path / "recorded"
    folder.mkdir()
    recorder = Recorder(folder)
    with monkeypatch.context() as patch:
        recorder.patch(patch)
        made = Workload(recorder, random.Random(seed))
        made.run(folder / "keystore.db")
    yield made
    recorder.close()


class ImageOpener:
    """Writes an image to a folder of its own and opens it as the product does after a crash."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keystore.db"
        folder.mkdir()

    def put(self, image: dict[str, bytes]) -> None:
        for file in self.path.parent.iterdir():
            file.unlink()
        for name, data in image.items():
            self.path.with_name(name).write_bytes(data)

    def open(self, backend: MemoBackend) -> tuple[KeystoreMark, Content]:
        with Keystore.open(self.path, secret(), backend=backend) as store:
            assert store.rollback is None, "an honest crash is no rollback"
            return found_at(store), content(store)

    def open_with_either(self) -> tuple[KeystoreMark, Content]:
        """The passphrase is rotated somewhere in the workload; exactly one of the two opens an image."""
        found = []
        for passphrase in (PASSPHRASE, NEW_PASSPHRASE):
            try:
                found.append(self.open(memo_backend(passphrase)))
            except KeystoreBadPassphraseError:
                continue
        assert len(found) == 1
        return found[0]

    def create_or_open(self) -> None:
        """What a node does at its next start."""
        try:
            self.open(memo_backend())
        except KeystoreMissingError:
            Keystore.create(self.path, secret(), backend=memo_backend(), page_bytes=1024).close()


@pytest.mark.timeout(300)
def test_every_crash_leaves_a_committed_state_and_never_a_lower_one_than_acknowledged(
    workload: Workload, fast_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    opener, disk = ImageOpener(fast_path / "image"), Disk()
    opened = 0
    for at, op in enumerate(workload.recorder.ops, start=1):
        disk.apply(op)
        if at < workload.created_at:
            continue
        images = [disk.kill_image(), disk.power_loss_image(rng, 0), disk.power_loss_image(rng, 1)]
        images += [disk.power_loss_image(rng, rng.random()) for _ in range(SUBSETS_A_CUT)]
        for number, image in enumerate(images):
            opener.put(image)
            try:
                mark, found = opener.open_with_either()
                assert found == workload.states[mark]
                assert mark.commit_counter >= workload.acknowledged_by(at)
            except Exception as error:
                raise AssertionError(
                    f"HERMES_TEST_SEED={seed}: cut after operation {at} ({op.kind} {op.name}), image {number}: {error!r}"
                ) from error
            opened += 1
    assert opened > 500
    assert len({mark for _, mark in workload.acknowledged}) > 15


def test_every_crash_while_creating_leaves_nothing_in_the_way(workload: Workload, fast_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    opener, disk = ImageOpener(fast_path / "image"), Disk()
    for at, op in enumerate(workload.recorder.ops[: workload.created_at], start=1):
        disk.apply(op)
        for image in (disk.kill_image(), *(disk.power_loss_image(rng, rng.random()) for _ in range(2))):
            opener.put(image)
            try:
                opener.create_or_open()
                opener.create_or_open()
            except Exception as error:
                raise AssertionError(
                    f"HERMES_TEST_SEED={seed}: cut after operation {at} ({op.kind} {op.name}): {error!r}"
                ) from error


def test_the_workload_has_what_makes_crashes_interesting(workload: Workload) -> None:
    kinds = {op.kind for op in workload.recorder.ops}
    assert kinds >= {"create", "write", "truncate", "sync", "rename", "sync-folder", "remove"}


def test_a_store_that_skips_its_syncs_is_caught(workload: Workload, fast_path: Path, seed: int) -> None:
    """The control: the same recording with the log's syncs left out loses acknowledged commits, and the check sees it."""
    rng = random.Random(seed)
    opener, disk = ImageOpener(fast_path / "image"), Disk()
    losses = 0
    for at, op in enumerate(workload.recorder.ops, start=1):
        if not (op.kind == "sync" and op.name.endswith("-wal") and at > workload.created_at):
            disk.apply(op)
        if at < workload.created_at or at % 7:
            continue
        opener.put(disk.power_loss_image(rng, 0))
        try:
            mark, _ = opener.open_with_either()
            losses += mark.commit_counter < workload.acknowledged_by(at)
        except Exception:  # noqa: BLE001 - a torn keystore is a loss as well
            losses += 1
    assert losses
