"""What a power cut leaves of a file: all that was synced, and of the rest any subset, torn at sectors."""

from __future__ import annotations

import random

import pytest

from tests.simulation import unsynced
from tests.simulation.unsynced import SECTOR_BYTES, Unsynced

ROUNDS = 200


def change_at_random(content: bytearray, remembered: Unsynced, rng: random.Random) -> None:
    """A write (within the file, over its end, or beyond it) or a truncate, of the content and in the journal."""
    offset = rng.randrange(3000)
    if rng.random() < 0.2:
        remembered.truncate(offset, bytes(content[offset:]))
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    data = rng.randbytes(rng.randrange(1, 2000))
    remembered.write(offset, len(data), bytes(content[offset : offset + len(data)]))
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def test_without_any_change_the_synced_content_is_left_and_with_all_of_them_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsynced, "TORN", 0)
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        synced = rng.randbytes(rng.randrange(3000))
        content, remembered = bytearray(synced), Unsynced(len(synced))
        for _ in range(rng.randrange(12)):
            change_at_random(content, remembered, rng)
        assert remembered.size == len(content)
        assert remembered.power_loss(bytes(content), rng, 0) == synced
        assert remembered.power_loss(bytes(content), rng, 1) == content


def test_a_torn_write_ends_at_a_sector_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsynced, "TORN", 1)
    offset, data = 100, b"x" * (3 * SECTOR_BYTES)
    remembered = Unsynced(offset)
    remembered.write(offset, len(data), b"")
    lengths = {len(remembered.power_loss(bytes(offset) + data, random.Random(seed), 1)) for seed in range(50)}
    assert lengths == {SECTOR_BYTES, 2 * SECTOR_BYTES, 3 * SECTOR_BYTES}


def test_a_write_inside_a_sector_is_there_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsynced, "TORN", 1)
    remembered = Unsynced(0)
    remembered.write(0, SECTOR_BYTES, b"")
    left = {remembered.power_loss(b"x" * SECTOR_BYTES, random.Random(seed), 0.5) for seed in range(50)}
    assert left == {b"", b"x" * SECTOR_BYTES}
