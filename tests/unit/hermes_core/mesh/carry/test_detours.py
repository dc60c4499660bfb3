"""When a home goes through a third node, through which, and when it comes back: by its own dials and probes alone."""

from __future__ import annotations

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.carry.detours import (
    ANSWER_S,
    ASK_EVERY_S,
    FRESH_S,
    LASTING_S,
    MAX_HELPERS,
    PATIENCE_S,
    SHORTEST_S,
    DetourParams,
    Detours,
)

B, C, D = NodeId("b"), NodeId("c"), NodeId("d")
AGAIN_S = 60.0


@pytest.fixture
def detours() -> Detours:
    """`b` is dialled since 0."""
    made = Detours(DetourParams(AGAIN_S))
    made.trying(B, 0.0)
    return made


def test_nothing_is_known_or_wanted_of_whom_nobody_dials() -> None:
    detours = Detours(DetourParams(AGAIN_S))
    assert not detours.answered(B, 0.0, C)
    assert not detours.silent(B)
    assert not detours.must_ask(B, 100.0)
    assert detours.choose(B, 100.0) is None
    assert not detours.may_come(B, 100.0)
    assert not detours.direct(B)


def test_a_third_one_is_gone_through_once_a_direct_stream_did_not_come_about_for_a_while(detours: Detours) -> None:
    detours.answered(B, 0.5, C)
    assert detours.choose(B, PATIENCE_S - 0.01) is None
    assert detours.may_come(B, 0.6)
    assert detours.choose(B, PATIENCE_S) == C


def test_only_one_through_which_it_answered_just_now(detours: Detours) -> None:
    assert detours.choose(B, 5.0) is None
    detours.answered(B, 5.0, C)
    assert detours.choose(B, 5.0 + FRESH_S) == C
    assert detours.choose(B, 5.01 + FRESH_S) is None
    assert not detours.may_come(B, 5.01 + FRESH_S)


def test_of_several_the_latest(detours: Detours) -> None:
    detours.answered(B, 3.0, C)
    detours.answered(B, 4.0, D)
    assert detours.choose(B, 4.0) == D
    detours.answered(B, 5.0, C)
    assert detours.choose(B, 5.0) == C


def test_none_once_a_direct_stream_stands(detours: Detours) -> None:
    detours.answered(B, 3.0, C)
    assert not detours.direct(B), "it came back from nowhere"
    assert detours.choose(B, 3.0) is None
    assert len(detours) == 0


def test_it_is_probed_when_a_dial_failed_or_takes_long_and_not_at_once_again(detours: Detours) -> None:
    assert not detours.must_ask(B, 0.0)
    assert detours.must_ask(B, PATIENCE_S / 2)
    detours.failed(B)
    assert detours.must_ask(B, 0.0)
    detours.asked(B, 0.0)
    assert not detours.must_ask(B, ASK_EVERY_S - 0.01)
    assert detours.must_ask(B, ASK_EVERY_S)


def test_who_waits_waits_for_the_end_of_the_probe_and_not_for_ever(detours: Detours) -> None:
    detours.failed(B)
    detours.asked(B, 1.0)
    assert detours.may_come(B, 1.0)
    assert not detours.may_come(B, 1.0 + ANSWER_S)
    detours.silent(B)
    assert not detours.may_come(B, 1.0)


def test_one_through_which_nothing_comes_about_is_left_alone_for_longer_each_time(detours: Detours) -> None:
    now, waits = 10.0, []
    for _ in range(8):
        detours.answered(B, now, C)
        assert detours.choose(B, now) == C
        detours.carried_ended(B, C, now)
        detours.carried_ended(B, C, now)  # however often that is told
        waited = 0.0
        while detours.choose(B, now + waited) is None:
            assert not detours.may_come(B, now + waited)
            waited += 1.0
            detours.answered(B, now + waited, C)
        waits.append(waited)
        now += waited
    assert waits == [SHORTEST_S, 2.0, 4.0, 8.0, 16.0, 32.0, LASTING_S, LASTING_S]


def test_another_one_is_taken_meanwhile(detours: Detours) -> None:
    detours.answered(B, 3.0, D)
    detours.answered(B, 3.0, C)
    detours.carried(B, C, 3.0)
    detours.carried_ended(B, C, 4.0)
    assert detours.choose(B, 4.0) == D


def test_the_end_of_one_that_lasted_is_not_its_fault(detours: Detours) -> None:
    for _ in range(5):
        detours.answered(B, 9.0, C)
        detours.carried_ended(B, C, 9.0 + 100 * _)
    detours.carried(B, C, 1_000.0)
    detours.carried_ended(B, C, 1_000.0 + LASTING_S)
    detours.answered(B, 1_000.0 + LASTING_S + SHORTEST_S, C)
    assert detours.choose(B, 1_000.0 + LASTING_S + SHORTEST_S) == C


def test_while_one_stands_no_other_is_taken(detours: Detours) -> None:
    detours.answered(B, 3.0, C)
    detours.carried(B, C, 3.0)
    assert detours.choose(B, 3.0) is None
    detours.carried(B, D, 4.0)
    detours.carried_ended(B, C, 5.0)
    detours.answered(B, 5.0, D)
    assert detours.choose(B, 5.0) is None, "the newer one stands still"


def answer(detours: Detours, since: float, until: float) -> None:
    now = since
    while now <= until:
        detours.answered(B, now)
        now += ASK_EVERY_S


def test_back_once_it_has_answered_directly_for_long_enough(detours: Detours) -> None:
    detours.carried(B, C, 3.0)
    answer(detours, 10.0, 70.0)
    assert not detours.is_direct_again(B, 10.0 + AGAIN_S - 0.01)
    assert detours.is_direct_again(B, 10.0 + AGAIN_S)
    assert detours.direct(B)


@pytest.mark.parametrize("broken_by", ["helper", "silence", "dial", "another third one"])
def test_whatever_says_that_it_is_not_reached_begins_that_anew(detours: Detours, broken_by: str) -> None:
    detours.carried(B, C, 3.0)
    answer(detours, 10.0, 50.0)
    match broken_by:
        case "helper":
            detours.answered(B, 51.0, C)
        case "silence":
            detours.silent(B)
        case "dial":
            detours.failed(B)
        case _:
            detours.carried(B, D, 51.0)
    answer(detours, 52.0, 52.0 + AGAIN_S - 1)
    assert not detours.is_direct_again(B, 52.0 + AGAIN_S - 1)
    assert detours.is_direct_again(B, 52.0 + AGAIN_S)


def test_answers_of_long_ago_bring_nobody_back(detours: Detours) -> None:
    detours.carried(B, C, 3.0)
    answer(detours, 10.0, 30.0)
    assert not detours.is_direct_again(B, 30.0 + AGAIN_S)


def test_who_answers_directly_but_takes_no_stream_is_reached_through_a_third_one_still(detours: Detours) -> None:
    answer(detours, 0.0, 100.0)
    assert not detours.is_direct_again(B, 100.0), "there is nothing to come back from"
    detours.answered(B, 101.0, C)
    assert detours.choose(B, 101.0) == C


def test_what_is_held_is_bounded_and_of_those_alone_that_are_needed(detours: Detours) -> None:
    for number in range(50):
        detours.answered(B, 3.0, NodeId(f"n-{number}"))
    assert detours.choose(B, 3.0) == "n-49"
    for number in range(49, 49 - MAX_HELPERS, -1):
        assert detours.choose(B, 3.0) == f"n-{number}"
        detours.carried_ended(B, NodeId(f"n-{number}"), 3.0)
    assert detours.choose(B, 3.0) is None
    detours.trying(D, 3.0)
    detours.keep([D])
    assert len(detours) == 1
    detours.forget(D)
    assert len(detours) == 0
