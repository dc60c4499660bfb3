"""A node's rotation beside its commits: it goes on after a restart, is due in time, and lets commits go between slices."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hermes_core.clock_peers import SeenTime
from hermes_core.keystore.rotation_timer import RotationParams, RotationTimer
from hermes_keystore import Keystore, Table
from hermes_node.chats.store import ChatStore
from hermes_node.lifecycle.rotation import rotate_keystore
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.keystore_series import KeystoreMetrics
from tests.component.keystore.kit import content, open_store
from tests.component.keystore.slices import CHATS, ROWS, begun, filled

pytestmark = pytest.mark.usefixtures("small_slices")

NEVER = RotationParams(interval_s=0.0, erase_within_s=1e6, after_deletes=1_000_000)
DEADLINE_S = 60.0


@contextmanager
def behind_a_thread(keystore: Keystore) -> Iterator[ChatStore]:
    with ThreadPoolExecutor(1) as executor, keystore:
        yield ChatStore(keystore, executor, KeystoreMetrics(CollectorRegistry()), lambda: SeenTime(time.time()))


class Told:
    """A rotation's task, and what it logs."""

    def __init__(self, store: ChatStore, params: RotationParams) -> None:
        self._stream = io.StringIO()
        timer, log = RotationTimer(params, time.monotonic()), EventLog(node_id="n", stream=self._stream)
        self.task = asyncio.create_task(rotate_keystore(store, timer, time.monotonic, log))

    async def wait(self, rotations: int) -> int:
        """The generation that the last of so many events names."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self._stream.getvalue().splitlines()) < rotations:
                assert not self.task.done()
                await asyncio.sleep(0.01)
        told = json.loads(self._stream.getvalue().splitlines()[-1])
        assert told["event"] == "keystore_rotated"
        return int(told["generation"])


async def test_what_a_process_before_began_goes_on_at_once(tmp_path: Path) -> None:
    store = begun(tmp_path / "keystore.db")
    store.close()
    with behind_a_thread(open_store(store.path)) as chats:
        assert chats.keystore.left_to_rotate
        told = Told(chats, NEVER)
        assert await told.wait(1) == 2
        told.task.cancel()
        assert chats.keystore.left_to_rotate == 0
        assert content(chats.keystore) == CHATS


async def test_one_deleted_record_is_erased_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_keystore.rotation_loop.CHECK_S", 0.02)
    with behind_a_thread(filled(tmp_path / "keystore.db")) as chats:
        told = Told(chats, RotationParams(interval_s=0.0, erase_within_s=2.0, after_deletes=1_000_000))
        assert await told.wait(1) == 2  # a start counts as a deletion
        await asyncio.sleep(0.6)  # longer than after a deletion: nothing is to come
        assert chats.mark.generation == 2
        await chats.run(lambda keystore: keystore.commit({}, [(Table.TOMBSTONE, b"1")]))
        deleted_at = time.monotonic()
        assert await told.wait(2) == 3
        assert time.monotonic() - deleted_at < DEADLINE_S
        told.task.cancel()


async def test_every_commit_goes_before_the_next_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is asked for while a slice runs waits for that one only."""
    monkeypatch.setattr("hermes_core.keystore.rotation_timer.MAX_PAUSE_S", 0.0)
    store = begun(tmp_path / "keystore.db")
    slices: list[int] = []
    real = store.rotate_slice

    def rotate_slice() -> bool:
        slices.append(store.left_to_rotate)
        time.sleep(0.02)  # longer than it takes to ask for a commit
        return real()

    monkeypatch.setattr(store, "rotate_slice", rotate_slice)
    with behind_a_thread(store) as chats:
        told = Told(chats, NEVER)
        rotation = asyncio.create_task(told.wait(1))
        commits = 0
        while not rotation.done():
            before = len(slices)
            await chats.run(lambda keystore: keystore.commit({(Table.META, b"frame"): b"x"}))
            assert len(slices) <= before + 1
            commits += 1
            await asyncio.sleep(0)
        assert await rotation == 2
        told.task.cancel()
    assert commits >= len(slices) >= 12 / ROWS
