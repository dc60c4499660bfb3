"""The benchmark of the keystore opens what it filled: with few chats, so that a new record format cannot break it unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bench_keystore
from hermes_core.crypto.secret import SecretBytes
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_keystore import Keystore, Table

CHATS = 7


def test_it_opens_and_rotates_what_it_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_keystore, "CHATS", CHATS)
    monkeypatch.setattr(bench_keystore, "ROUNDS", 1)
    path = tmp_path / "many.db"
    assert bench_keystore.measure_opening(path)["ratio"] > 0
    with Keystore.open(path, SecretBytes.take(bytearray(b"bench"))) as store:
        records = [parse_chat_record(value) for _, value in store.load(Table.CHAT)]
    assert len(records) == CHATS
    assert bench_keystore.measure_stall(path)["ratio"] > 0
