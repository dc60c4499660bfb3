"""How long an app waits for its home: what the home promised comes first, and one that leaves for good is not waited for."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.patience import MAX_PROMISE_S, MOVE_SPREAD_S, SPREAD, HomePatience
from tests.support.random_sources import ListedRandom

LEAST, MIDDLE, MOST = bytes(4), b"\x80\0\0\0", b"\xff" * 4


def make(draw: bytes = MIDDLE) -> HomePatience:
    return HomePatience(10.0, ListedRandom([draw] * 3))


@pytest.mark.parametrize(("draw", "factor"), [(LEAST, 1 - SPREAD), (MIDDLE, 1.0), (MOST, 1 + SPREAD)])
def test_a_home_that_is_gone_is_waited_for_the_patience_more_or_less(draw: bytes, factor: float) -> None:
    patience = make(draw)
    assert not patience.over(1e9), "nobody is missing"
    patience.lose(100.0)
    patience.lose(105.0)  # what was waited before counts
    assert not patience.over(100.0 + 10.0 * factor - 0.01)
    assert patience.over(100.0 + 10.0 * factor + 0.01)


def test_the_patience_starts_after_what_a_restart_promised() -> None:
    patience = make()
    patience.promise(100.0, 60.0)
    patience.lose(105.0)
    assert not patience.over(169.9)
    assert patience.over(170.1)


def test_a_promise_that_was_over_when_the_home_went_changes_nothing() -> None:
    patience = make()
    patience.promise(100.0, 60.0)
    patience.lose(200.0)
    assert not patience.over(209.9)
    assert patience.over(210.1)


def test_a_promise_is_believed_for_an_hour_and_holds_for_one_time() -> None:
    patience = make()
    patience.promise(0.0, 4e6)
    patience.lose(1.0)
    assert patience.over(MAX_PROMISE_S + 10.1)
    patience.regain()
    patience.lose(10_000.0)
    assert patience.over(10_010.1)


@pytest.mark.parametrize(("draw", "share"), [(LEAST, 0.0), (MIDDLE, 0.5), (MOST, 1.0)])
def test_a_home_that_leaves_for_good_is_not_waited_for_and_its_apps_go_one_after_the_other(draw: bytes, share: float) -> None:
    patience = make(draw)
    assert patience.give_up() == pytest.approx(share * MOVE_SPREAD_S)
    assert patience.over(0.0)
    patience.regain()
    assert not patience.over(1e9)
