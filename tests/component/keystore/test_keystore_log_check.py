"""The write-ahead log's reader: it counts what SQLite will use, and no bytes make it raise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_keystore import Keystore, Table
from hermes_keystore.log_check import FRAME_HEADER_BYTES, HEADER_BYTES, LogCensus, parse_log
from tests.component.keystore.kit import CHEAP, found_at, open_store, secret

CREATED = 2  # made, opened
COMMITS = 12


@pytest.fixture(scope="module")
def log_and_database(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    path = tmp_path_factory.mktemp("log") / "keystore.db"
    with Keystore.create(path, secret(), argon2=CHEAP, page_bytes=512) as store:
        store._truncate_log()  # what creating it wrote
        for number in range(COMMITS):
            store.commit({(Table.CHAT, b"%d" % number): bytes(200 * (number % 4))})
        return path.with_name("keystore.db-wal").read_bytes(), path.read_bytes()


def test_an_intact_log_is_valid_to_its_end(log_and_database: tuple[bytes, bytes]) -> None:
    log, _ = log_and_database
    frames = (len(log) - HEADER_BYTES) // (FRAME_HEADER_BYTES + 512)
    assert parse_log(log) == LogCensus(frames, COMMITS, 0)


def test_it_counts_the_commits_sqlite_recovers(log_and_database: tuple[bytes, bytes], tmp_path: Path) -> None:
    log, database = log_and_database
    for length in range(HEADER_BYTES, len(log) + 1, 536 * 3):
        path = tmp_path / str(length) / "keystore.db"
        path.parent.mkdir()
        path.write_bytes(database)
        path.with_name("keystore.db-wal").write_bytes(log[:length])
        census = parse_log(log[:length])
        assert census is not None
        with open_store(path) as store:
            assert found_at(store).commit_counter == CREATED + census.valid_commits


@settings(max_examples=300)
@given(st.binary(max_size=3000))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse_log(data)


def test_damage_before_the_last_commit_is_seen_and_in_it_is_not(log_and_database: tuple[bytes, bytes]) -> None:
    log, _ = log_and_database
    rng = random.Random(1)
    for _ in range(300):
        at = rng.randrange(len(log))
        damaged = bytearray(log)
        damaged[at] ^= 1 << rng.randrange(8)
        census = parse_log(bytes(damaged))
        in_frame = (at - HEADER_BYTES) % (FRAME_HEADER_BYTES + 512)
        if census is not None and not 4 <= in_frame < 8:  # the commit mark itself is all there is to count
            assert census.valid_commits + census.commits_after_damage == COMMITS, at
            assert census.valid_commits < COMMITS


def test_frames_of_an_older_log_are_not_taken_for_damage(log_and_database: tuple[bytes, bytes]) -> None:
    log, _ = log_and_database
    frame = FRAME_HEADER_BYTES + 512
    stale = bytearray(log[HEADER_BYTES + 6 * frame : HEADER_BYTES + 12 * frame])
    for at in range(0, len(stale), frame):
        stale[at + 8 : at + 16] = bytes(8)  # the salt of another time
    census = parse_log(log[: HEADER_BYTES + 6 * frame] + bytes(stale))
    assert census is not None
    assert census.valid_frames == 6
    assert census.commits_after_damage <= 1
