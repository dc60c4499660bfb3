"""The check of an opening: who is asked, what is enough, how long chats wait, and when a mark is sent to whom."""

from __future__ import annotations

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.opening_check import (
    MAX_REMEMBERED,
    SEND_EVERY_S,
    WITNESSES,
    CheckOutput,
    OpeningCheck,
    OpeningParams,
    OpeningState,
)

OWN = NodeId("node-0")
OTHERS = [NodeId(f"node-{index}") for index in range(1, 9)]
PARAMS = OpeningParams(witness_wait_s=2, opening_wait_s=15)
START = 1000.0


def make_check(*former: NodeId) -> OpeningCheck:
    return OpeningCheck(OWN, former, PARAMS, START)


def make_joined(members: list[NodeId], *former: NodeId) -> OpeningCheck:
    check = make_check(*former)
    check.update_members(members, START)
    check.take_output()
    return check


def standing_of(check: OpeningCheck) -> OpeningState:
    return check.state  # a call: it changes between two looks


def answer(check: OpeningCheck, member: NodeId, now: float) -> None:
    """What a member says when its link comes up: what it holds of us, and whom it knows."""
    check.take_answer(member, now)
    check.take_list(member)


def run_timers(check: OpeningCheck, until: float) -> None:
    while (due := check.next_timer()) is not None and due <= until:
        check.handle_timer(due)


# who is asked, and what is enough


def test_three_members_of_the_ring_are_witnesses_and_this_node_is_none() -> None:
    check = make_joined([*OTHERS, OWN])
    assert len(set(check.witnesses)) == WITNESSES
    assert OWN not in check.witnesses


@pytest.mark.parametrize("joined", [False, True])
def test_the_operators_word_is_enough(joined: bool) -> None:
    check = make_joined(OTHERS) if joined else make_check()
    check.take_operator_answer()
    assert check.take_output().became is OpeningState.VERIFIED
    check.update_members(OTHERS[:1], START)
    assert standing_of(check) is OpeningState.VERIFIED


def test_the_operators_word_may_come_late() -> None:
    check = make_check()
    run_timers(check, START + PARAMS.opening_wait_s)
    assert standing_of(check) is OpeningState.UNVERIFIED
    check.take_operator_answer()
    assert standing_of(check) is OpeningState.VERIFIED


def test_two_answers_are_enough() -> None:
    check = make_joined(OTHERS)
    answer(check, check.witnesses[0], START)
    assert standing_of(check) is OpeningState.WAITING
    answer(check, check.witnesses[2], START)
    assert standing_of(check) is OpeningState.VERIFIED
    assert check.take_output().became is OpeningState.VERIFIED


def test_answers_of_others_are_none() -> None:
    check = make_joined(OTHERS)
    for other in set(OTHERS) - set(check.witnesses):
        answer(check, other, START)
    assert standing_of(check) is OpeningState.WAITING


def test_an_answer_that_came_before_its_node_was_known_as_a_witness_counts() -> None:
    check = make_check()
    for other in OTHERS:
        answer(check, other, START)
    assert standing_of(check) is OpeningState.WAITING
    check.update_members(OTHERS, START)
    assert standing_of(check) is OpeningState.VERIFIED


def test_in_a_mesh_of_two_the_other_one_is_enough() -> None:
    check = make_joined(OTHERS[:1])
    answer(check, OTHERS[0], START)
    assert standing_of(check) is OpeningState.VERIFIED


def test_a_former_witness_that_lives_is_waited_for_and_one_that_does_not_is_not() -> None:
    alive, dead = OTHERS[7], NodeId("node-99")
    check = make_joined([OTHERS[0], alive], dead, alive)
    answer(check, OTHERS[0], START)
    assert standing_of(check) is OpeningState.WAITING
    answer(check, alive, START)
    assert standing_of(check) is OpeningState.VERIFIED


def test_the_first_answer_of_all_verifies_nothing_before_its_sender_said_whom_it_knows() -> None:
    """Until then it is the only member known; those who were witnesses are up, and would not be waited for."""
    stranger, *former = OTHERS[:4]
    check = make_check(*former)
    check.update_members([stranger], START)
    check.take_answer(stranger, START)
    assert standing_of(check) is OpeningState.WAITING
    check.update_members(OTHERS[:4], START)
    check.take_list(stranger)
    assert standing_of(check) is OpeningState.WAITING
    for member in former[:2]:
        answer(check, member, START)
    assert standing_of(check) is OpeningState.VERIFIED


def test_a_list_of_a_link_that_broke_is_waited_for_again() -> None:
    check = make_joined(OTHERS[:1])
    check.take_list(OTHERS[0])
    check.link_down(OTHERS[0])
    check.take_answer(OTHERS[0], START)
    assert standing_of(check) is OpeningState.WAITING
    check.take_list(OTHERS[0])
    assert standing_of(check) is OpeningState.VERIFIED


def test_what_was_said_on_a_link_that_broke_is_said_again() -> None:
    check = make_joined(OTHERS)
    first, second, _ = check.witnesses
    answer(check, first, START)
    check.link_down(first)
    answer(check, second, START)
    assert standing_of(check) is OpeningState.WAITING


# how long


def test_after_joining_the_wait_is_short() -> None:
    check = make_check()
    check.update_members(OTHERS, START + 5)
    run_timers(check, START + 6.9)
    assert standing_of(check) is OpeningState.WAITING
    run_timers(check, START + 7)
    assert standing_of(check) is OpeningState.UNVERIFIED


@pytest.mark.parametrize("joined_after_s", [None, 14.0])
def test_after_the_start_the_wait_is_bounded(joined_after_s: float | None) -> None:
    check = make_check()
    if joined_after_s is not None:
        check.update_members(OTHERS, START + joined_after_s)
    run_timers(check, START + 14.9)
    assert standing_of(check) is OpeningState.WAITING
    run_timers(check, START + 15)
    assert standing_of(check) is OpeningState.UNVERIFIED


def test_who_answers_late_verifies_late() -> None:
    check = make_joined(OTHERS)
    run_timers(check, START + 20)
    check.take_output()
    for witness in check.witnesses[:2]:
        answer(check, witness, START + 21)
    assert check.take_output().became is OpeningState.VERIFIED


def test_a_node_alone_by_design_waits_for_nobody_unless_it_had_a_witness() -> None:
    alone, left = make_check(), make_check(OTHERS[0])
    for check in (alone, left):
        check.find_nobody()
    assert (standing_of(alone), standing_of(left)) == (OpeningState.ALONE, OpeningState.WAITING)


def test_a_member_met_later_verifies_a_node_that_was_alone() -> None:
    check = make_check()
    check.find_nobody()
    check.update_members(OTHERS[:1], START + 60)
    answer(check, OTHERS[0], START + 60)
    assert standing_of(check) is OpeningState.VERIFIED


# marks


def sent_at(check: OpeningCheck, now: float) -> list[NodeId]:
    run_timers(check, now)
    return sorted(check.take_output().send_to)


def test_a_witness_gets_no_mark_before_it_has_answered() -> None:
    check = make_joined(OTHERS)
    check.note_counter(5, START)
    assert sent_at(check, START + 1) == []
    answer(check, check.witnesses[0], START + 1)
    assert sent_at(check, START + 1) == [check.witnesses[0]]


def test_a_mark_that_changed_is_sent_once_a_second_and_one_that_did_not_is_not() -> None:
    check = make_joined(OTHERS)
    for witness in check.witnesses:
        answer(check, witness, START)
    check.note_counter(5, START)
    everybody = sorted(check.witnesses)
    assert sent_at(check, START) == everybody
    for commit in range(6, 16):
        check.note_counter(commit, START + 0.1)
        assert sent_at(check, START + 0.1) == []
    assert sent_at(check, START + SEND_EVERY_S) == everybody
    assert sent_at(check, START + 60) == []
    assert check.next_timer() is None


def test_after_a_quiet_time_a_change_is_sent_at_once() -> None:
    check = make_joined(OTHERS[:1])
    answer(check, OTHERS[0], START)
    check.note_counter(5, START)
    sent_at(check, START)
    check.note_counter(6, START + 60)
    assert check.take_output().send_to == [OTHERS[0]]


def test_a_new_witness_gets_the_mark_at_once_and_the_others_get_nothing_twice() -> None:
    check = make_joined(OTHERS[:1])
    answer(check, OTHERS[0], START)
    check.note_counter(5, START)
    sent_at(check, START)
    check.update_members(OTHERS[:2], START + 0.2)
    answer(check, OTHERS[1], START + 0.3)
    assert sent_at(check, START + 0.3) == [OTHERS[1]]


def test_a_link_that_comes_again_gets_the_mark_again() -> None:
    check = make_joined(OTHERS[:1])
    answer(check, OTHERS[0], START)
    check.note_counter(5, START)
    sent_at(check, START)
    check.link_down(OTHERS[0])
    assert sent_at(check, START + 5) == []
    answer(check, OTHERS[0], START + 6)
    assert sent_at(check, START + 6) == [OTHERS[0]]


# names for the next start


def remembered(output: CheckOutput) -> tuple[NodeId, ...]:
    assert output.remember is not None
    return output.remember


def test_present_witnesses_are_remembered_before_former_ones_and_their_number_is_bounded() -> None:
    former = [NodeId(f"old-{index}") for index in range(20)]
    check = make_check(*former)
    check.update_members(OTHERS, START)
    names = remembered(check.take_output())
    assert names == (*check.witnesses, *former)[:MAX_REMEMBERED]
    again = make_check(*names)
    again.update_members(OTHERS, START)
    assert again.take_output().remember is None  # nothing to store


def test_when_every_member_is_gone_the_last_witnesses_stay_remembered() -> None:
    check = make_joined(OTHERS)
    check.update_members([], START + 1)
    assert check.take_output().remember is None
