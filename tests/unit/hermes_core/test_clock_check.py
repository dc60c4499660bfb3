"""A clock that is wrong erases nothing and keeps no key alive: every direction, at each bound and one past it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_core.clock_check import ClockDoubt, ClockJudgement, find_median, judge_clock
from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S

SEEN = 1_700_000_000.0
YEAR_S = 365 * 86_400.0
EARLIER, LATER, OFF = ClockDoubt.EARLIER, ClockDoubt.LATER, ClockDoubt.OFF


@pytest.mark.parametrize(
    ("passed", "counted", "doubt", "off"),
    [
        (0, 0, None, 0),
        (3600, 3600, None, 0),
        (UNCONFIRMED_TIME_S, UNCONFIRMED_TIME_S, None, 0),
        (UNCONFIRMED_TIME_S + CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S, None, 0),
        (UNCONFIRMED_TIME_S + CLOCK_TOLERANCE_S + 1, UNCONFIRMED_TIME_S, LATER, CLOCK_TOLERANCE_S + 1),
        (31 * 86_400, UNCONFIRMED_TIME_S, LATER, 24 * 86_400),
        (-1, 0, None, 0),
        (-CLOCK_TOLERANCE_S, 0, None, 0),
        (-CLOCK_TOLERANCE_S - 1, 0, EARLIER, CLOCK_TOLERANCE_S + 1),
        (-20 * YEAR_S, 0, EARLIER, 20 * YEAR_S),
    ],
)
def test_alone(passed: float, counted: float, doubt: ClockDoubt | None, off: float) -> None:
    assert judge_clock(SEEN + passed, SEEN) == ClockJudgement(SEEN + counted, doubt, off)


@pytest.mark.parametrize(
    ("unconfirmed", "passed", "counted", "doubt"),
    [
        (6 * 86_400, 86_400, 86_400, None),
        (6 * 86_400, 2 * 86_400, 86_400, LATER),
        (UNCONFIRMED_TIME_S, 60, 0, None),
        (UNCONFIRMED_TIME_S, 61, 0, LATER),
        (2 * UNCONFIRMED_TIME_S, 3600, 0, LATER),
    ],
)
def test_what_was_counted_before_is_not_counted_again(
    unconfirmed: float, passed: float, counted: float, doubt: ClockDoubt | None
) -> None:
    judged = judge_clock(SEEN + passed, SEEN, unconfirmed_s=unconfirmed)
    assert (judged.time_s, judged.doubt) == (SEEN + counted, doubt)


def test_a_node_that_has_never_seen_the_time_believes_its_clock() -> None:
    assert judge_clock(5.0, None) == ClockJudgement(5.0)


@pytest.mark.parametrize("away", [3600.0, 60 * 86_400.0, YEAR_S])
def test_time_that_others_confirm_counts_whole(away: float) -> None:
    wall = SEEN + away
    near = [wall - CLOCK_TOLERANCE_S, wall, wall + CLOCK_TOLERANCE_S]
    assert judge_clock(wall, SEEN, peers_s=near) == ClockJudgement(wall)
    assert judge_clock(wall, SEEN, peers_s=near[:1], operator_s=wall) == ClockJudgement(wall)
    unconfirmed = min(away, UNCONFIRMED_TIME_S)
    for few in ([], near[:1], near[:2]):
        assert judge_clock(wall, SEEN, peers_s=few).time_s == SEEN + unconfirmed
    assert judge_clock(wall, SEEN, operator_s=wall).time_s == SEEN + unconfirmed


def test_one_wrong_clock_among_the_others_changes_nothing() -> None:
    wall = SEEN + 3600
    for wrong in (0.0, wall + YEAR_S):
        assert judge_clock(wall, SEEN, peers_s=[wall, wrong, wall + 1]) == ClockJudgement(wall)


@pytest.mark.parametrize("lie", [-YEAR_S, -CLOCK_TOLERANCE_S - 1, CLOCK_TOLERANCE_S + 1, YEAR_S])
def test_two_that_contradict_each_other_say_nothing(lie: float) -> None:
    """The operator's clock and one node's: nobody can tell which is wrong, so it is as if there were none."""
    for passed in (3600.0, 20 * 86_400.0):
        wall = SEEN + passed
        alone = judge_clock(wall, SEEN)
        assert judge_clock(wall, SEEN, peers_s=[wall + lie], operator_s=wall) == alone
        assert judge_clock(wall, SEEN, peers_s=[wall], operator_s=wall + lie) == alone


@given(st.lists(st.floats(-4e9, 4e9), max_size=4), st.booleans())
def test_fewer_liars_than_half_say_nothing_and_half_of_them_make_it_no_later(lies: list[float], operator_lies: bool) -> None:
    """`lies`: offsets; as many honest clocks, and one more or not."""
    honest = [SEEN, SEEN + 1.0, SEEN + 2.0, SEEN + 3.0, SEEN + 4.0]
    liars = [SEEN + lie for lie in lies]
    for more in (0, 1):
        peers = honest[: len(liars) + more] + liars
        operator = peers.pop() if operator_lies and peers else None
        said = find_median(peers, operator)
        if said is not None and more:
            assert SEEN <= said <= SEEN + 4.0
        elif said is not None:
            assert said <= SEEN + 4.0 + (CLOCK_TOLERANCE_S if len(liars) == 1 else 0)


def test_a_clock_off_the_others_counts_as_far_as_they_agree() -> None:
    others = [SEEN + 3600] * 3
    within, beyond = SEEN + 3600 + CLOCK_TOLERANCE_S, SEEN + 3601 + CLOCK_TOLERANCE_S
    assert judge_clock(within, SEEN, peers_s=others) == ClockJudgement(within)
    assert judge_clock(beyond, SEEN, peers_s=others) == ClockJudgement(SEEN + 3600, OFF, CLOCK_TOLERANCE_S + 1)
    assert judge_clock(SEEN + YEAR_S, None, peers_s=others).time_s == SEEN + 3600
    behind = judge_clock(SEEN - YEAR_S, SEEN, peers_s=others)
    assert behind == ClockJudgement(SEEN, OFF, YEAR_S + 3600)


def test_when_all_agree_that_the_last_run_was_ahead_time_goes_back_and_keys_are_renewed() -> None:
    wall = SEEN - YEAR_S
    assert judge_clock(wall, SEEN, peers_s=[wall] * 3) == ClockJudgement(wall, EARLIER, YEAR_S)


seconds = st.floats(0, 4e9)


@given(seconds, st.none() | seconds, st.lists(seconds, max_size=5), st.none() | seconds)
def test_no_clock_makes_more_time_pass_than_another_confirms(
    wall: float, seen: float | None, peers: list[float], operator: float | None
) -> None:
    judged = judge_clock(wall, seen, peers_s=peers, operator_s=operator)
    assert (judged.doubt is None) == (judged.off_s == 0)
    if seen is None:
        return
    assert judged.time_s <= max(seen, wall) + CLOCK_TOLERANCE_S
    if not peers and operator is None:
        assert seen <= judged.time_s <= seen + UNCONFIRMED_TIME_S
    if judged.doubt is None:
        assert abs(judged.time_s - wall) <= CLOCK_TOLERANCE_S
