"""Fsyncs are counted, and the count is held to a file system that records them: few a window, one a commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench_keystore import count_fsyncs
from benchmarks.one_chat import OneChat
from hermes_keystore import Keystore, Table
from tests.component.keystore.crash_recorder import Recorder
from tests.component.keystore.kit import CHEAP, secret

MESSAGES = 1_000
MAX_FSYNCS = 10


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path)
    recorder.patch(monkeypatch)
    yield recorder
    monkeypatch.undo()
    recorder.close()


def syncs(recorder: Recorder) -> int:
    return sum(op.kind in {"sync", "sync-folder"} for op in recorder.ops)


def create(recorder: Recorder) -> Keystore:
    return Keystore.create(recorder.folder / "keystore.db", secret(), argon2=CHEAP, connect=recorder.connect)


def test_the_counter_counts_what_reaches_the_disk(recorder: Recorder) -> None:
    with create(recorder) as store:
        before = syncs(recorder) - store.fsyncs
        for number in range(5):
            store.commit({(Table.CHAT, b"%d" % number): bytes(800)})
            assert store.fsyncs == syncs(recorder) - before
        store.rotate_generation()
        assert store.fsyncs == syncs(recorder) - before
        store.commit({(Table.META, b"k"): b"v"}, [(Table.CHAT, b"1")])
        store._truncate_log()
        store._truncate_log()
        store.rotate_passphrase(secret(), argon2=CHEAP)
        assert store.fsyncs == syncs(recorder) - before


def test_the_counter_counts_the_log_folded_in_on_the_way(recorder: Recorder) -> None:
    with create(recorder) as store:
        before = syncs(recorder) - store.fsyncs
        for _ in range(20):
            store.commit({(Table.META, b"large"): bytes(1 << 19)})
        assert store.fsyncs == syncs(recorder) - before > 20 + 3


def test_one_commit_is_one_fsync_whatever_its_size(recorder: Recorder) -> None:
    with create(recorder) as store:
        store.commit({(Table.META, b"first"): b""})
        store._floor = None  # which follows a log's first commit, and then once a second
        before = syncs(recorder)
        store.commit({(Table.CHAT, b"%d" % number): bytes(800) for number in range(1_000)})
        assert syncs(recorder) - before == 1


def test_a_thousand_messages_of_one_chat_cost_at_most_ten_fsyncs(recorder: Recorder) -> None:
    with create(recorder) as store:
        chat = OneChat(store)
        before, commits = syncs(recorder), store.mark.commit_counter
        chat.send(MESSAGES, b"x" * 1024)
        assert chat.received == MESSAGES
        assert 3 <= syncs(recorder) - before <= MAX_FSYNCS  # below 3 the disk could not be ahead of the wire
        assert store.mark.commit_counter - commits <= MAX_FSYNCS


def test_the_bench_counts_the_same_way(tmp_path: Path) -> None:
    assert count_fsyncs(tmp_path / "keystore.db")["ratio"] <= MAX_FSYNCS
