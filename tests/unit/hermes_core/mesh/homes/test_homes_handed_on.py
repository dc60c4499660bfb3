"""Entries of homes that say nothing more: whoever held them tells new holders, so that an app is away and not unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.mesh.homes.messages import AgedEntry, EntriesHeld, EntryOvertaken, HandedOn, HoldEntries, HomesMessage
from hermes_core.mesh.homes.params import HomesParams
from tests.support.homes_world import HomesWorld, Member, app_of, identity_of, make_home_entry, with_times

APPS = [app_of(index) for index in range(40)]
STAMP = 5_000
HOME = NodeId("node-0")


def come(world: HomesWorld, numbers: Iterable[int]) -> None:
    for number in numbers:
        world.members[NodeId(f"node-{number}")] = Member(f"node-{number}", number, world.params)
    world.tell_members()


def renew_all(world: HomesWorld, first: int) -> None:
    """One node after the other comes, and another one is lost, until those that were there are not."""
    former = [name for name in world.members if name != HOME]
    for step, name in enumerate(former):
        come(world, [first + step])
        del world.members[name]
        world.tell_members()


def hand(
    world: HomesWorld, *entries: AgedEntry, home: str = "gone", key: Identity | None = None
) -> list[tuple[NodeId, HomesMessage]]:
    """What node-1 says when node-2 hands these on."""
    handed = HandedOn(make_home_entry(key or identity_of(77), home, APPS[0], STAMP).home, entries)
    world[1].homes.receive(NodeId("node-2"), HoldEntries(9, world[2].identity.public_key, (), (handed,)), world.now)
    return world[1].homes.take_output().sends


def aged(number: int, age_s: int = 0, *, stamp: int = STAMP) -> AgedEntry:
    return AgedEntry(make_home_entry(identity_of(77), "gone", app_of(number), stamp).signed, age_s)


def test_an_app_whose_home_is_lost_is_away_when_all_its_holders_were_replaced() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    world.kill(0)
    renew_all(world, 20)
    assert [world.place(20, app) for app in APPS] == [(HOME, False)] * len(APPS)


def test_so_is_one_that_did_not_come_again_after_its_home_began_anew() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    world.restart(0)
    world.connect(0, APPS[:3], STAMP + 1)
    renew_all(world, 20)
    assert [world.place(20, app) for app in APPS[:3]] == [(HOME, True)] * 3
    assert [world.place(20, app) for app in APPS[3:]] == [(HOME, False)] * len(APPS[3:])


def test_a_holder_that_lost_its_memory_hears_of_lost_homes_again() -> None:
    world = HomesWorld(4)
    world.connect(0, APPS, STAMP)
    world.kill(0)
    for index in (1, 2, 3):
        world.restart(index)
        assert world[index].homes.count_held() == len(APPS)


def test_a_home_that_is_back_has_the_last_word() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    world.kill(0)
    renew_all(world, 20)
    world.members[HOME] = Member(HOME, 0, world.params, incarnation=2)
    world.tell_members()
    world.connect(0, APPS, STAMP + 1)
    assert [world.place(20, app) for app in APPS] == [(HOME, True)] * len(APPS)
    world.pass_time(world.params.lapse_s)  # until then those that held it before may know no better
    sent = len(world.sent)
    come(world, [60])
    assert not any(isinstance(message, HoldEntries) and message.handed_on for *_, message in world.sent[sent:])


def test_who_holds_it_already_is_told_once_and_checks_nothing() -> None:
    """Whatever comes and goes afterwards, only new holders hear of it."""
    world = HomesWorld(3)
    world.connect(0, APPS, STAMP)
    world.kill(0)
    for index in range(10):
        come(world, [20 + index])
    sent = len(world.sent)
    world.pass_time(3600)
    assert not any(isinstance(message, HoldEntries) and message.handed_on for *_, message in world.sent[sent:])


def test_it_is_as_old_at_the_next_holder_and_forgotten_a_day_after_its_home() -> None:
    world = HomesWorld(8, with_times(kept_s=1000, lapse_s=100, refresh_s=600))
    world.connect(0, APPS, STAMP)
    world.kill(0)
    world.pass_time(700)
    renew_all(world, 20)
    world.pass_time(250)
    assert world.place(20, APPS[0]) == (HOME, False)
    world.pass_time(200)
    assert sum(member.homes.count_held() for member in world.members.values()) == 0


def test_what_is_not_authentic_or_too_old_is_not_taken_in() -> None:
    world = HomesWorld(3, with_times(kept_s=1000))
    good = aged(1)
    for position in (0, 39, 152, 200):
        forged = bytearray(good.signed)
        forged[position] ^= 1
        hand(world, AgedEntry(bytes(forged), 0))
    hand(world, good, key=identity_of(78))
    hand(world, good, home="other")
    hand(world, replace(good, age_s=1000))
    assert world[1].homes.count_held() == 0
    hand(world, replace(good, age_s=999))
    assert world[1].homes.count_held() == 1


def test_an_older_word_or_home_takes_no_place_and_a_newer_one_takes_that_of_a_lie() -> None:
    world = HomesWorld(3)
    world.connect(0, APPS, STAMP)
    entry = world.ask(NodeId("node-1"), APPS[1])
    assert entry is not None
    hand(world, aged(1, stamp=STAMP - 1))
    assert world.ask(NodeId("node-1"), APPS[1]) == entry
    hand(world, aged(1, stamp=STAMP + 1))
    shown = world.ask(NodeId("node-1"), APPS[1])
    assert shown is not None
    assert shown.home.node_id == "gone"
    claimed = make_home_entry(identity_of(99), "liar", APPS[2], STAMP + 9)
    forged = claimed.signed[:40] + bytes(64) + claimed.signed[104:]
    lonely = HomesWorld(3)
    lonely[1].homes.receive(NodeId("liar"), HoldEntries(1, identity_of(99).public_key, (forged,)), lonely.now)
    hand(lonely, aged(2))
    shown = lonely.ask(NodeId("node-1"), APPS[2])
    assert shown is not None
    assert shown.home.node_id == "gone"


def test_a_home_whose_app_went_to_one_that_is_lost_hears_so() -> None:
    world = HomesWorld(3)
    world.connect(0, APPS[:2], STAMP)
    told = [(receiver, type(message)) for receiver, message in hand(world, aged(1, stamp=STAMP + 1))]
    assert told == [(HOME, EntryOvertaken), (NodeId("node-2"), EntriesHeld)]


def test_whoever_hands_on_without_end_fills_its_own_share_under_whatever_names() -> None:
    world = HomesWorld(3, HomesParams(max_held=60))
    world.connect(0, APPS[:20], STAMP)
    for number in range(200):
        key = identity_of(5000 + number)
        entry = make_home_entry(key, f"made-up-{number}", app_of(9000 + number), STAMP)
        hand(world, AgedEntry(entry.signed, 0), home=entry.home.node_id, key=key)
    assert world[1].homes.count_held() == 60
    assert all(world.ask(NodeId("node-1"), app) is not None for app in APPS[:20])


def test_signatures_are_checked_as_far_as_the_sender_has_a_budget_and_the_rest_later() -> None:
    world = HomesWorld(3, HomesParams(asked_burst=4, asked_refill_s=0.5))
    entries = [aged(number) for number in range(6)]
    for held, waits in ((4, True), (6, False)):
        assert (hand(world, *entries) == []) is waits, "what is not confirmed is sent again"
        assert world[1].homes.count_held() == held
        world.now += 1
    assert len(hand(world, *entries)) == 1, "what is held costs nothing"


def test_no_app_is_lost_by_the_word_of_anybody_but_itself() -> None:
    world = HomesWorld(3)
    world.connect(1, APPS[:1], STAMP)
    forged = bytearray(aged(0, stamp=STAMP + 1).signed)
    forged[50] ^= 1
    hand(world, AgedEntry(bytes(forged), 0))
    assert world[1].overtaken == []
    assert world.place(0, APPS[0]) == ("node-1", True)
