"""When a generation rotates: at each bound and just before it, by time, by deletions, and after a rotation."""

from __future__ import annotations

import pytest

from hermes_core.keystore.rotation_timer import RotationParams, RotationTimer

START = 1_700_000_000.0
PARAMS = RotationParams(interval_s=86400.0, after_deletes=256)


@pytest.mark.parametrize(
    ("deleted", "after_s", "due"),
    [(0, 0.0, False), (255, 86399.0, False), (256, 0.0, True), (257, 0.0, True), (0, 86400.0, True), (0, 86401.0, True)],
)
def test_due_at_either_bound(deleted: int, after_s: float, due: bool) -> None:
    assert RotationTimer(PARAMS, START).is_due(deleted, START + after_s) is due


def test_the_next_timer_is_when_the_generation_is_old() -> None:
    timer = RotationTimer(PARAMS, START)
    assert timer.next_timer() == START + 86400.0
    timer.begin(START + 10)
    assert timer.next_timer() == START + 86410.0
    assert not timer.is_due(0, START + 86400.0)
    assert timer.is_due(0, START + 86410.0)


def test_interval_zero_means_after_bursts_only() -> None:
    timer = RotationTimer(RotationParams(interval_s=0.0, after_deletes=1), START)
    assert timer.next_timer() is None
    assert not timer.is_due(0, START + 1e9)
    assert timer.is_due(1, START)
