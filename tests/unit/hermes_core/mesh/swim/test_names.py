"""Names and keys, rumours, dials and memory: what somebody else can make this node hold or do is bounded."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from hermes_core.handshake.renewal import build_renewal
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.accusers import MANY_WRONG, Accusers
from hermes_core.mesh.swim.budgets import Budgets
from hermes_core.mesh.swim.dissemination import Dissemination
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.messages import BUCKETS, Alive, ListedMember, SyncDigests, SyncFacts, SyncListing, SyncWanted
from hermes_core.mesh.swim.output import Cause, KeyReplaced, MemberForgotten, NameContested
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.pins import Pins
from hermes_core.mesh.swim.statements import IdentitySignatures
from tests.unit.hermes_core.mesh.swim.bench import PARAMS, Bench, Other

EVERY_BUCKET = (1 << BUCKETS) - 1


def names(count: int, start: int = 0, address: str = "") -> list[Other]:
    return [Other(f"made-up-{index}", address=address) for index in range(start, start + count)]


def test_a_name_that_one_member_brought_is_no_member_and_a_second_one_makes_it_one() -> None:
    bench = Bench()
    a, b, _ = bench.others
    new = Other("new")
    bench.hear(a, Alive(new.descriptor))
    bench.hear(a, Alive(new.descriptor))
    assert bench.state(new) is None
    bench.hear(b, Alive(new.descriptor))
    assert bench.state(new) is MemberState.ALIVE


def test_a_listing_vouches_as_well_but_not_of_another_descriptor() -> None:
    bench = Bench()
    a, b, _ = bench.others
    new = Other("new")
    bench.hear(a, Alive(new.descriptor))
    for mark, state in ((bytes(8), None), (new.descriptor.signature[:8], MemberState.ALIVE)):
        bench.receive(b, SyncListing(EVERY_BUCKET, (ListedMember(new.name, 1, mark),)))
        assert bench.state(new) is state


def test_a_rumour_is_checked_by_a_link_and_told_on_only_then() -> None:
    bench = Bench()
    new = Other("new")
    bench.hear(bench.others[0], Alive(new.descriptor))
    assert Alive(new.descriptor) not in bench.n.parts.news.take(99, 9, to=NodeId("nobody"))
    bench.tick(8.0, bench.answer_all)
    assert [d.node_id for d in bench.output.dials].count(new.name) == 1
    bench.link(new)
    assert bench.state(new) is MemberState.ALIVE
    assert Alive(new.descriptor) in bench.n.parts.news.take(99, 9, to=NodeId("nobody"))


def test_what_one_sender_brings_is_bounded_and_dials_because_of_it_are_few() -> None:
    bench = Bench()
    liar = bench.others[0]
    for other in names(PARAMS.rumours_a_sender + 20):
        bench.hear(liar, Alive(other.descriptor))
    assert len(bench.n.parts.rumours) == PARAMS.rumours_a_sender
    assert len(bench.n.roster) == len(bench.others)
    bench.clear()
    bench.tick(60.0, bench.answer_all)
    made_up = [d for d in bench.output.dials if d.node_id.startswith("made-up")]
    assert len(made_up) <= 60
    for other in names(5, start=1000):
        bench.hear(liar, Alive(other.descriptor))
    assert bench.n.parts.rumours.get(NodeId("made-up-1000")) is None


def test_one_address_is_dialled_once_in_its_backoff_whatever_names_are_there() -> None:
    bench = Bench()
    for other in names(40, address="third-party:443"):
        bench.hear(bench.others[0], Alive(other.descriptor))
    bench.tick(60.0, bench.answer_all)
    assert len([d for d in bench.output.dials if d.address == "third-party:443"]) <= 8


def test_a_name_is_checked_once_a_minute() -> None:
    bench = Bench(met=9)
    gone = Other("gone")
    for second in range(55):
        for other in bench.others[:1]:
            bench.hear(other, Alive(gone.descriptor))
        bench.tick(float(second), bench.answer_all)
    assert [d.node_id for d in bench.output.dials].count(gone.name) == 1
    assert bench.n.parts.rumours.get(gone.name) is None


def test_another_key_is_believed_by_a_link_alone_and_not_while_the_pinned_one_is_up() -> None:
    bench = Bench(met=4)
    a, b, c, _ = bench.others
    thief = Other(str(c.name), incarnation=9)
    for sender in (a, b):
        bench.hear(sender, Alive(thief.descriptor))
    assert bench.n.roster.get(c.name).descriptor == c.descriptor  # type: ignore[union-attr]
    assert not bench.link(thief)
    assert bench.output.hangups == []  # by its name that would be the link of who bears it
    assert bench.events(NameContested)
    assert bench.n.roster.get(c.name).descriptor == c.descriptor  # type: ignore[union-attr]
    bench.hear(a, c.depart())
    assert bench.link(thief)
    assert bench.events(KeyReplaced) == [KeyReplaced(c.name)]
    bench.n.roster.turn(bench.n.roster.get(c.name), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    assert not bench.link(c)  # a former key never comes back


def renew(former: Other, incarnation: int = 2) -> Other:
    """The same name, with another key that the former one signed."""
    heir = Other(str(former.name))
    renewal = build_renewal(former.identity, heir.identity, former.name)
    heir.descriptor = sign_descriptor(
        heir.identity, node_id=heir.name, address=heir.address, incarnation=incarnation, version="0", renewals=renewal
    )
    return heir


def test_a_renewed_key_is_taken_as_soon_as_the_former_one_is_found_silent_and_the_former_one_never_again() -> None:
    bench = Bench(met=8)
    former, *others = bench.others
    heir = renew(former)
    assert not bench.link(heir), "its link stands: who comes with a renewal has stolen its key"
    assert bench.events(NameContested) == [NameContested(former.name)]
    bench.n.link_down(former.name)
    bench.clear()
    assert not bench.link(heir), "others may reach it"
    assert bench.events(NameContested) == []
    bench.hear(others[0], others[0].accuse(former.descriptor))
    assert not bench.link(heir), "nor is another one's word that it is silent this node's own"
    bench.silent = {former.name}
    bench.tick(bench.now + 2 * PARAMS.period_s, bench.answer_all)
    assert bench.state(former) is MemberState.SUSPECT
    assert bench.link(heir)
    assert bench.events(KeyReplaced) == [KeyReplaced(former.name, renewed=True)]
    bench.n.roster.turn(bench.n.roster.get(former.name), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    assert not bench.link(former)


@pytest.mark.parametrize("restored", [False, True])
def test_a_key_that_was_renewed_before_this_node_met_the_name_never_comes_back_either(restored: bool) -> None:
    bench = Bench()
    former = Other("former")
    heir = renew(former)
    if restored:
        known = [heir.descriptor]
        bench.n = Swim(
            bench.me.descriptor, IdentitySignatures(bench.me.identity), Random(1).randrange, PARAMS, 0.0, known=known
        )
    else:
        assert bench.link(heir)
    bench.n.roster.turn(bench.n.roster.get(former.name), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    assert not bench.link(former)


def test_who_passes_a_descriptor_on_without_its_renewals_hides_none_from_who_meets_its_node() -> None:
    bench = Bench()
    a, b, _ = bench.others
    heir = renew(Other("former"))
    for sender in (a, b):
        bench.hear(sender, Alive(replace(heir.descriptor, renewals=b"")))
    assert bench.n.roster.get(heir.name).descriptor.renewals == b""  # type: ignore[union-attr]
    assert bench.link(heir)
    assert bench.n.roster.get(heir.name).descriptor == heir.descriptor  # type: ignore[union-attr]


def test_pins_outlive_members_and_are_bounded() -> None:
    pins = Pins(3)
    for index in range(5):
        pins.pin(NodeId(f"n-{index}"), bytes([index]) * 32)
    assert len(pins) == 3
    assert pins.key_of(NodeId("n-1")) is None
    bench = Bench(params=SwimParams(evict_after_s=20.0))
    gone = bench.others[0]
    bench.hear(gone, gone.depart())
    bench.tick(60.0, bench.answer_all)
    assert bench.events(MemberForgotten) == [MemberForgotten(gone.name)]
    assert bench.n.parts.pins.holds(gone.name, gone.descriptor.node_key)
    assert not bench.link(Other(str(gone.name))) or bench.events(KeyReplaced)


def test_the_table_is_bounded_and_the_longest_dead_make_room() -> None:
    bench = Bench(met=5, params=SwimParams(max_members=5))
    assert not bench.link(Other("too-many"))
    bench.hear(bench.others[0], bench.others[3].depart())
    assert bench.link(Other("one-more"))
    assert len(bench.n.roster) == 5


def test_links_are_bounded_and_the_least_used_goes_first() -> None:
    bench = Bench(met=0, params=SwimParams(max_links=20))
    bench.others = [Other(f"other-{index}") for index in range(40)]
    for other in bench.others:
        bench.link(other)
    assert len(bench.n.parts.links) == 20
    assert len(bench.output.hangups) == 20
    assert set(bench.n.parts.links) >= bench.n.roster.rings.targets


def test_what_waits_for_a_link_is_bounded() -> None:
    bench = Bench()
    target = bench.others[0]
    bench.n.link_down(target.name)
    bench.clear()
    for _ in range(100):
        bench.n.parts.links.send(target.descriptor, SyncWanted(()))
    bench.link(target)
    assert len(bench.messages(SyncWanted, to=target)) == PARAMS.max_waiting


@pytest.mark.parametrize(("members", "times"), [(5, 4), (10, 4), (100, 8), (1000, 12)])
def test_a_fact_is_told_lambda_log_n_times(members: int, times: int) -> None:
    news = Dissemination()
    news.tell(Alive(Other("a").descriptor))
    told = 0
    while news.take(8, PARAMS.transmissions(members), to=NodeId("x")):
        told += 1
    assert told == times == PARAMS.transmissions(members)
    assert not news


def test_the_least_told_facts_go_first_and_newer_ones_replace_older() -> None:
    news = Dissemination()
    a, b = Other("a"), Other("b")
    news.tell(Alive(a.descriptor))
    news.take(1, 9, to=NodeId("x"))
    news.tell(Alive(b.descriptor))
    assert news.take(1, 9, to=NodeId("x")) == (Alive(b.descriptor),)
    news.tell(a.accuse(b.descriptor))
    news.tell(Alive(b.describe(2)))
    assert set(news.take(9, 9, to=NodeId("x"))) == {Alive(a.descriptor), Alive(b.describe(2))}


def test_anti_entropy_lists_what_differs_asks_for_what_it_lacks_and_gives_what_the_other_lacks() -> None:
    bench = Bench()
    a, b, c = bench.others
    bench.clear()
    bench.receive(a, SyncDigests(bench.n.roster.digests.sums))
    assert not bench.output.sends  # nothing differs
    bench.receive(a, SyncDigests((0,) * BUCKETS))
    [listing] = bench.messages(SyncListing, to=a)
    assert {entry.node_id for entry in listing.entries} == {"me", a.name, b.name, c.name}
    new = Other("new")
    bench.receive(a, SyncListing(EVERY_BUCKET, (ListedMember(new.name, 1, new.descriptor.signature[:8]),)))
    assert bench.messages(SyncWanted, to=a) == [SyncWanted((new.name,))]
    given = bench.messages(SyncFacts, to=a)
    assert len(given) == 1
    assert {fact.descriptor.node_id for fact in given[0].facts if isinstance(fact, Alive)} == {"me", a.name, b.name, c.name}
    bench.receive(a, SyncWanted((b.name, NodeId("me"), NodeId("nobody"))))
    assert len(bench.messages(SyncFacts, to=a)[-1].facts) == 2


def test_who_lists_a_member_that_left_is_told_that_it_did() -> None:
    bench = Bench()
    a, b, _ = bench.others
    departure = b.depart()
    bench.hear(a, departure)
    bench.clear()
    bench.receive(a, SyncListing(EVERY_BUCKET, (ListedMember(b.name, 1, b.descriptor.signature[:8]),)))
    assert departure in bench.messages(SyncFacts, to=a)[0].facts


def test_budgets_refill_and_are_forgotten_when_full() -> None:
    budgets = Budgets(2, 10.0)
    a = NodeId("a")
    assert [budgets.take(a, 0.0) for _ in range(3)] == [True, True, False]
    assert budgets.refused == 1
    assert budgets.take(a, 10.0)
    budgets.tidy(30.0)
    assert not len(budgets)


def test_wrong_accusations_are_forgiven_and_their_memory_is_bounded() -> None:
    accusers = Accusers(16, 60.0)
    a = NodeId("a")
    named = [accusers.contradict(a, NodeId("b"), incarnation, 0.0) for incarnation in range(3 * MANY_WRONG)]
    assert named.index(True) == MANY_WRONG - 1
    assert named.count(True) == 1
    assert not accusers.allows(a)
    accusers.tidy(60.0)
    assert accusers.allows(a)


def test_halves_that_buried_each_other_try_the_dead_again() -> None:
    bench = Bench()
    dead = bench.others[0]
    bench.n.roster.turn(bench.n.roster.get(dead.name), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    bench.n.link_down(dead.name)
    bench.silent = {dead.name}
    bench.tick(3 * PARAMS.rescue_periods, bench.answer_all)
    assert dead.name in [d.node_id for d in bench.output.dials]


def test_who_leaves_says_so_to_everybody_who_is_linked_and_is_not_brought_back() -> None:
    bench = Bench()
    bench.clear()
    bench.n.leave()
    bench.take()
    assert len(bench.messages(SyncFacts)) == 3
    bench.hear(bench.others[0], bench.others[0].accuse(bench.me.descriptor))
    assert bench.n.descriptor.incarnation == 5


def test_a_link_that_somebody_else_wants_waits_for_the_backoff_and_who_answered_elsewhere_does_not() -> None:
    bench = Bench()
    wanted = Other("wanted")
    bench.n.want_link(wanted.descriptor, bench.now)
    bench.n.want_link(wanted.descriptor, bench.now)
    bench.take()
    assert bench.output.dials == [wanted.descriptor], "once, while it is under way"
    bench.n.dial_failed(wanted.name, bench.now)
    bench.n.want_link(wanted.descriptor, bench.now)
    bench.take()
    assert len(bench.output.dials) == 1
    bench.n.reached(wanted.descriptor)
    bench.take()
    assert len(bench.output.dials) == 2
    bench.link(wanted)
    bench.n.reached(wanted.descriptor)
    bench.take()
    assert len(bench.output.dials) == 2, "it is linked"


def test_who_ends_links_as_soon_as_they_stand_is_left_alone_for_longer_each_time() -> None:
    """It refuses this node's key, say; the dial itself does not fail."""
    bench = Bench()
    other = bench.others[0]
    waits = []
    for _ in range(9):
        bench.n.link_down(other.name)
        bench.n.cut_short(other.descriptor, bench.now)
        began = bench.now
        while not bench.n.parts.links.can_dial(other.descriptor.address, bench.now):
            bench.now += PARAMS.period_s
        waits.append(bench.now - began)
        bench.n.parts.links.tidy(bench.now)
        bench.link(other)
    assert waits == [min(2.0**step, PARAMS.max_backoff_periods) * PARAMS.period_s for step in range(9)]
    bench.n.parts.links.tidy(bench.now + 3 * waits[-1])
    bench.n.cut_short(other.descriptor, bench.now)
    assert bench.n.parts.links.can_dial(other.descriptor.address, bench.now + PARAMS.period_s)


def test_who_proves_a_key_on_another_stream_is_held_to_the_pin_as_well() -> None:
    bench = Bench()
    known, thief = bench.others[0], Other(str(bench.others[0].name))
    assert bench.n.admits(known.descriptor, 0.0)
    assert bench.n.admits(Other("new").descriptor, 0.0)
    assert not bench.n.admits(thief.descriptor, 0.0)
    assert not bench.n.admits(bench.me.descriptor, 0.0)
    bench.take()
    assert bench.events(NameContested) == [NameContested(thief.name), NameContested(bench.me.name)]
