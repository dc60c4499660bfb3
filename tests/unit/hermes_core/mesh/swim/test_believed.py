"""What is believed: of a member its own signed word, of an accuser its own, and of nobody a word about a third's life."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hermes_core.ids import MAX_POSITION
from hermes_core.mesh.lies import Lie
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.messages import Accusation, Alive, Ping, SyncDigests
from hermes_core.mesh.swim.output import NameContested, OwnFutureSeen, OwnIncarnationRaised, ReservationWanted
from tests.unit.hermes_core.mesh.swim.bench import PARAMS, Bench, Other

A_WHILE = PARAMS.blame_s + 1


def test_a_signed_accusation_makes_suspect_and_nothing_more() -> None:
    bench = Bench()
    a, b, _ = bench.others
    bench.hear(a, a.accuse(b.descriptor))
    assert bench.state(b) is MemberState.SUSPECT
    assert not bench.lies()


@pytest.mark.parametrize("field", ["subject_key", "incarnation", "accuser_incarnation", "signature"])
def test_an_accusation_with_another_field_is_not_believed(field: str) -> None:
    bench = Bench()
    a, b, _ = bench.others
    said = a.accuse(b.descriptor)
    changed: Any = getattr(said, field) + 1 if isinstance(getattr(said, field), int) else bytes(len(getattr(said, field)))
    bench.hear(a, replace(said, **{field: changed}))
    assert bench.state(b) is MemberState.ALIVE
    assert bench.lies() == ([(a.name, Lie.SIGNATURE)] if field in {"signature", "accuser_incarnation"} else [])


def test_an_accusation_in_anothers_name_is_not_believed_and_its_bringer_is_named() -> None:
    bench = Bench()
    a, b, c = bench.others
    bench.hear(a, replace(a.accuse(b.descriptor), accuser=c.name, accuser_key=c.descriptor.node_key))
    assert bench.state(b) is MemberState.ALIVE
    assert bench.lies() == [(a.name, Lie.SIGNATURE)]


@pytest.mark.parametrize("incarnation", [0, 2, MAX_POSITION])
def test_an_accusation_of_an_incarnation_that_the_subject_did_not_sign_is_dropped(incarnation: int) -> None:
    bench = Bench()
    a, b, _ = bench.others
    bench.hear(a, a.accuse(b.descriptor, incarnation=incarnation))
    assert bench.state(b) is MemberState.ALIVE


@pytest.mark.parametrize("incarnation", [4, 6, MAX_POSITION])
def test_a_node_contradicts_nothing_but_its_current_incarnation(incarnation: int) -> None:
    bench = Bench()
    bench.hear(bench.others[0], bench.others[0].accuse(bench.me.descriptor, incarnation=incarnation))
    assert bench.n.descriptor == bench.me.descriptor


def test_a_node_contradicts_with_the_next_incarnation_and_tells_it() -> None:
    bench = Bench()
    a, b, _ = bench.others
    bench.hear(a, a.accuse(bench.me.descriptor))
    assert bench.n.descriptor.incarnation == 6
    assert bench.events(OwnIncarnationRaised) == [OwnIncarnationRaised(6)]
    bench.clear()
    bench.receive(b, Ping(1))
    assert Alive(bench.n.descriptor) in bench.output.sends[0].message.facts  # type: ignore[union-attr]


def test_incarnations_are_not_used_before_they_are_reserved() -> None:
    bench = Bench()
    future = bench.me.describe(5 + 64 + 10)
    bench.hear(bench.others[0], Alive(future))
    assert bench.events(OwnFutureSeen) == [OwnFutureSeen(79, 5)]
    assert bench.n.descriptor.incarnation == 5
    [wanted] = bench.events(ReservationWanted)
    assert wanted.up_to > 80
    bench.n.incarnations_reserved(wanted.up_to)
    assert bench.n.descriptor.incarnation == 80


def test_half_of_a_reservation_used_up_asks_for_the_next() -> None:
    bench = Bench()
    for incarnation in range(5, 5 + 33):
        assert bench.n.parts.own.raise_above(incarnation)
    assert bench.n.parts.own.wanted_reservation() == 5 + 33 + 64
    assert bench.n.parts.own.wanted_reservation() is None


def test_a_future_that_this_node_did_not_sign_is_nothing() -> None:
    bench = Bench()
    forged = replace(bench.me.describe(9), signature=bytes(64))
    bench.hear(bench.others[0], Alive(forged))
    assert bench.n.descriptor == bench.me.descriptor
    assert not bench.events(OwnFutureSeen)


def test_a_members_own_word_raises_its_incarnation_and_ends_its_suspicion() -> None:
    bench = Bench()
    a, b, c = bench.others
    bench.hear(a, a.accuse(b.descriptor))
    bench.hear(c, Alive(b.describe(2)))
    assert bench.state(b) is MemberState.ALIVE


def test_alive_that_its_subject_did_not_sign_names_who_brought_it() -> None:
    bench = Bench()
    a, b, _ = bench.others
    bench.hear(a, Alive(replace(b.descriptor, incarnation=2)))
    assert bench.n.roster.get(b.name).descriptor == b.descriptor  # type: ignore[union-attr]
    assert bench.lies() == [(a.name, Lie.SIGNATURE)]


def test_a_departure_counts_as_its_subject_signed_it_alone() -> None:
    bench = Bench()
    a, b, c = bench.others
    bench.hear(a, replace(b.depart(), signature=bytes(64)))
    assert bench.state(b) is MemberState.ALIVE
    assert bench.lies() == [(a.name, Lie.SIGNATURE)]
    bench.hear(a, c.depart())
    assert bench.state(c) is MemberState.LEFT
    bench.hear(a, Alive(c.descriptor))
    assert bench.state(c) is MemberState.LEFT
    bench.hear(a, Alive(c.describe(2)))
    assert bench.state(c) is MemberState.ALIVE


def test_who_left_does_not_come_back_by_what_it_signed_before() -> None:
    bench = Bench()
    a, b, _ = bench.others
    b.descriptor = b.describe(3)
    bench.hear(a, b.depart())
    for incarnation, state in ((2, MemberState.LEFT), (3, MemberState.LEFT), (4, MemberState.ALIVE)):
        bench.hear(a, Alive(b.describe(incarnation)))
        assert bench.state(b) is state


def test_two_descriptors_with_one_incarnation_name_their_subject_and_everybody_keeps_the_same() -> None:
    a = Other("twofold")
    first, second = a.descriptor, a.describe(1, "elsewhere:1")
    kept = []
    for order in ((first, second), (second, first)):
        bench = Bench(met=1)
        bench.link(a, order[0])
        bench.hear(bench.others[0], Alive(order[1]))
        assert bench.lies() == [(a.name, Lie.TWO_SELVES)]
        kept.append(bench.n.roster.get(a.name).descriptor)  # type: ignore[union-attr]
    assert kept[0] == kept[1]


def test_who_accuses_those_that_answer_is_named_and_not_believed_any_more() -> None:
    bench = Bench(met=8)
    liar, *victims = bench.others
    bench.tick(A_WHILE, bench.answer_all)
    for victim in victims[:5]:
        bench.hear(liar, liar.accuse(victim.descriptor))
        assert bench.state(victim) is MemberState.SUSPECT
        bench.answer_all(bench.output)
        bench.clear_sends()
        assert bench.state(victim) is MemberState.ALIVE
    assert bench.lies() == [(liar.name, Lie.ACCUSATIONS)]
    bench.hear(liar, liar.accuse(victims[6].descriptor))
    assert bench.state(victims[6]) is MemberState.ALIVE


def test_who_was_dead_here_just_now_is_not_blamed() -> None:
    bench = Bench(met=8)
    accuser, *subjects = bench.others
    for subject in subjects[:6]:
        bench.hear(accuser, accuser.accuse(subject.descriptor))
        bench.answer_all(bench.output)
        bench.clear_sends()
    assert not bench.lies()


def test_an_accuser_has_a_budget_of_open_accusations() -> None:
    bench = Bench(met=PARAMS.open_accusations + 4)
    accuser, *subjects = bench.others
    for subject in subjects:
        bench.hear(accuser, accuser.accuse(subject.descriptor))
    suspects = [subject for subject in subjects if bench.state(subject) is MemberState.SUSPECT]
    assert len(suspects) == PARAMS.open_accusations


def test_new_descriptors_of_one_subject_have_a_budget() -> None:
    bench = Bench()
    a, b, _ = bench.others
    for incarnation in range(2, 40):
        bench.hear(a, Alive(b.describe(incarnation)))
    assert bench.n.roster.get(b.name).descriptor.incarnation == 1 + PARAMS.updates_a_subject  # type: ignore[union-attr]


def test_nobody_bears_this_nodes_own_name() -> None:
    bench = Bench()
    assert not bench.link(Other("me"))
    assert bench.events(NameContested)


def test_what_comes_over_no_link_is_not_looked_at() -> None:
    bench = Bench()
    a, b, _ = bench.others
    bench.n.link_down(a.name)
    bench.clear()
    bench.hear(a, a.accuse(b.descriptor))
    bench.receive(Other("stranger"), SyncDigests((0,) * 64))
    assert bench.state(b) is MemberState.ALIVE
    assert not bench.output.sends


def test_an_accusation_is_told_on_and_first_of_all_to_its_subject() -> None:
    bench = Bench()
    a, b, _ = bench.others
    said = a.accuse(b.descriptor)
    bench.hear(a, said)
    told = [m for m in bench.messages(Ping, to=b) if said in m.facts]
    assert told
    assert isinstance(told[0].facts[0], Accusation)


def test_a_liar_is_named_once_in_a_while() -> None:
    bench = Bench()
    a, b, _ = bench.others
    for incarnation in range(2, 9):
        bench.hear(a, Alive(replace(b.descriptor, incarnation=incarnation)))
    assert bench.lies() == [(a.name, Lie.SIGNATURE)]
    bench.tick(A_WHILE, bench.answer_all)
    bench.hear(a, Alive(replace(b.descriptor, incarnation=9)))
    assert bench.lies() == 2 * [(a.name, Lie.SIGNATURE)]
