"""When a generation rotates, and how fast: at each bound and just before it."""

from __future__ import annotations

import pytest

from hermes_core.keystore.rotation_timer import BURST_SHARE, MAX_PAUSE_S, SLICE_ROWS, RotationParams, RotationTimer

START = 1_000.0
PARAMS = RotationParams(interval_s=86400.0, erase_within_s=600.0, after_deletes=256)
FEW = 100


def rotated() -> RotationTimer:
    """A timer whose start was answered by a rotation: from now on it knows of every deletion."""
    timer = RotationTimer(PARAMS, START)
    timer.begin(START)
    return timer


@pytest.mark.parametrize(("after_s", "due"), [(0.0, False), (149.9, False), (150.0, True)])
def test_a_start_counts_as_a_deletion_of_a_record(after_s: float, due: bool) -> None:
    assert RotationTimer(PARAMS, START).is_due(FEW, START + after_s) is due


@pytest.mark.parametrize(("after_s", "due"), [(0.0, False), (149.9, False), (150.0, True)])
def test_a_quarter_of_the_time_after_the_first_deletion(after_s: float, due: bool) -> None:
    timer = rotated()
    timer.note_deleted(1, START + 1_000)
    timer.note_deleted(2, START + 1_200)
    assert timer.is_due(FEW, START + 1_000 + after_s) is due


def test_nothing_deleted_is_nothing_to_erase_until_the_generation_is_old() -> None:
    timer = rotated()
    timer.note_deleted(0, START + 1)
    assert not timer.is_due(FEW, START + 86399.9)
    assert timer.is_due(FEW, START + 86400)
    timer = RotationTimer(RotationParams(0.0, 600.0, 256), START)
    timer.begin(START)
    assert not timer.is_due(FEW, START + 1e9)


@pytest.mark.parametrize(
    ("deleted", "records", "due"), [(255, FEW, False), (256, FEW, True), (6249, 100_000, False), (6250, 100_000, True)]
)
def test_a_burst_is_enough_records_and_a_share_of_all(deleted: int, records: int, due: bool) -> None:
    assert 100_000 * BURST_SHARE == 6250
    timer = rotated()
    timer.note_deleted(deleted, START + 1)
    assert timer.is_due(records, START + 1) is due


def test_a_rotation_answers_what_was_deleted_before_it_and_nothing_later() -> None:
    timer = rotated()
    timer.note_deleted(300, START + 1)
    assert timer.is_due(FEW, START + 1)
    timer.begin(START + 2)
    assert not timer.is_due(FEW, START + 1_000)
    timer.note_deleted(301, START + 1_000)
    assert not timer.is_due(FEW, START + 1_149)
    assert timer.is_due(FEW, START + 1_150)


def test_a_rotation_is_spread_but_ends_in_time_and_leaves_half_to_the_chats() -> None:
    timer = rotated()
    slices = 2_000
    assert timer.pause_s(0.01, slices * SLICE_ROWS, START) == pytest.approx(0.15)  # two of the ten minutes
    assert timer.pause_s(0.01, SLICE_ROWS, START) == MAX_PAUSE_S
    assert timer.pause_s(0.5, slices * SLICE_ROWS, START) == 0.5
    assert timer.pause_s(20.0, slices * SLICE_ROWS, START) == 1.0  # the disk hung once
    assert timer.pause_s(0.01, slices * SLICE_ROWS, START + 301) == 0.01


@pytest.mark.parametrize("records", [1, SLICE_ROWS, 20_000, 100_000, 500_000])
def test_what_was_deleted_is_erased_in_time(records: int) -> None:
    """The whole of it under a clock, with slices of 6 ms; a rotation looks at every record one and a half times."""
    timer = rotated()
    timer.note_deleted(1, START)
    now = START
    while not timer.is_due(records, now):
        now += 1.0
    timer.begin(now)
    left = float(records)
    while left > 0:
        left -= SLICE_ROWS / 1.5
        now += 0.006
        now += timer.pause_s(0.006, round(left), now)
    assert now - START <= PARAMS.erase_within_s
