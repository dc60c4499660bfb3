"""An app that went elsewhere: the highest stamp is its home, the old home hears of it, and who comes too late does as well."""

from __future__ import annotations

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.homes.machine import Overtaken
from hermes_core.mesh.homes.messages import EntriesHeld, EntryOvertaken, HoldEntries
from hermes_core.mesh.homes.params import HomesParams
from tests.support.homes_world import HomesWorld, app_of, id_of, make_home_entry

APP = app_of(1)
STAMP = 5_000


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_holder_that_sees_a_newer_stamp_tells_the_old_home(count: int) -> None:
    world = HomesWorld(count)
    world.connect(0, [APP], STAMP)
    world.connect(1, [APP], STAMP + 1)
    ((app_id, entry, late),) = [(event.app_id, event.entry, event.late) for event in world[0].overtaken]
    assert (app_id, entry.home.node_id, entry.stamp, late) == (id_of(APP), "node-1", STAMP + 1, False)
    assert world[1].overtaken == []
    for index in range(count):
        assert world.place(index, APP) == ("node-1", True)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_who_connects_with_a_stamp_too_low_is_told_of_by_a_holder(count: int) -> None:
    world = HomesWorld(count)
    world.connect(0, [APP], STAMP)
    world.connect(1, [APP], STAMP - 1)
    assert [(event.entry.home.node_id, event.late) for event in world[1].overtaken] == [("node-0", True)]
    assert world[0].overtaken == []
    for index in range(count):
        assert world.place(index, APP) == ("node-0", True)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_of_equal_stamps_the_lower_node_id_stands(first: int, second: int) -> None:
    world = HomesWorld(5)
    world.connect(first, [APP], STAMP)
    world.connect(second, [APP], STAMP)
    assert world.place(4, APP) == ("node-0", True)
    assert len(world[1].overtaken) == 1
    assert world[0].overtaken == []


def test_an_old_home_that_was_away_when_it_was_told_hears_of_it_when_it_sends_again() -> None:
    world = HomesWorld(5)
    world.connect(0, [APP], STAMP)
    world.lose = lambda _sender, receiver, _message: receiver == "node-0"
    world.connect(1, [APP], STAMP + 1)
    assert world[0].overtaken == []
    world.lose = lambda *_: False
    world.pass_time(world.params.refresh_s)
    assert [event.entry.home.node_id for event in world[0].overtaken] == ["node-1"]


def test_an_app_that_moved_is_published_by_its_new_home_alone() -> None:
    world = HomesWorld(3)
    world.connect(0, [APP], STAMP)
    world.connect(1, [APP], STAMP + 1)
    world.disconnect(0, [APP])
    world.pass_time(3 * world.params.refresh_s)
    assert world.place(2, APP) == ("node-1", True)


def test_back_again_with_a_higher_stamp() -> None:
    world = HomesWorld(3)
    for turn in range(6):
        world.connect(turn % 2, [APP], STAMP + turn)
        world.disconnect((turn + 1) % 2, [APP])
    assert world.place(2, APP) == ("node-1", True)
    assert [len(world[index].overtaken) for index in range(3)] == [3, 2, 0]


def test_a_forged_entry_ends_no_session_and_takes_no_home() -> None:
    """Whatever a member sends to home and holders in its own name, or in the name of a holder."""
    world = HomesWorld(5)
    world.connect(0, [APP], STAMP)
    liar = world[4]
    genuine = make_home_entry(liar.identity, "node-4", APP, STAMP + 9)
    for at in (0, 39, 80, 140, 160, 200):
        forged = genuine.signed[:at] + bytes([genuine.signed[at] ^ 1]) + genuine.signed[at + 1 :]
        for index in range(4):
            homes = world[index].homes
            homes.receive(liar.name, HoldEntries(1, liar.identity.public_key, (forged,)), world.now)
            homes.receive(liar.name, EntryOvertaken(make_home_entry(liar.identity, "node-4", app_of(7), STAMP)), world.now)
            world.settle()
    assert world[0].overtaken == []
    assert world.place(1, APP) == ("node-0", True)


def test_a_claim_is_of_the_node_that_sends_it() -> None:
    """Another member's entry, sent on under an own name, is none."""
    world = HomesWorld(4)
    world.connect(0, [APP], STAMP)
    entry = world.ask(NodeId("node-0"), APP)
    assert entry is not None
    for index in (0, 1, 2):
        world[index].homes.receive(NodeId("node-3"), HoldEntries(1, entry.home.node_key, (entry.signed,)), world.now)
    world.settle()
    assert world.place(3, APP) == ("node-0", True)


def test_a_forgery_that_came_first_gives_way_to_what_is_right() -> None:
    world = HomesWorld(2)
    liar = app_of(9)
    forged = make_home_entry(liar, "liar", APP, STAMP + 50)
    world[1].homes.receive(
        NodeId("liar"), HoldEntries(1, liar.public_key, (forged.signed[:40] + bytes(64) + forged.signed[104:],)), world.now
    )
    world.settle()
    world.connect(0, [APP], STAMP)
    assert world[0].overtaken == []
    assert world.holders(APP) == ["node-1"]
    shown = world.ask(NodeId("node-1"), APP)
    assert shown is not None
    assert shown.home.node_id == "node-0"


def test_a_stamp_that_nobody_takes_is_no_newer_home() -> None:
    world = HomesWorld(2)
    ahead = STAMP + 1000

    for member in world.members.values():
        fresh = type(member.homes)(member.identity, member.name, 1, HomesParams(), lambda stamp, _now: stamp < ahead)
        member.homes = fresh
    world.tell_members()
    world.connect(0, [APP], STAMP)
    entry = make_home_entry(app_of(9), "far", APP, ahead)
    for index in (0, 1):
        world[index].homes.receive(NodeId("far"), HoldEntries(1, entry.home.node_key, (entry.signed,)), world.now)
        world[index].homes.receive(NodeId("far"), EntryOvertaken(entry), world.now)
    world.settle()
    assert not [event for member in world.members.values() for event in member.events if isinstance(event, Overtaken)]
    assert world.place(1, APP) == ("node-0", True)


def test_an_older_word_of_the_same_home_does_not_undo_a_later_one() -> None:
    world = HomesWorld(2)
    world.connect(0, [APP], STAMP)
    old = world.ask(NodeId("node-0"), APP)
    world.disconnect(0, [APP])
    assert old is not None
    world[1].homes.receive(NodeId("node-0"), HoldEntries(77, old.home.node_key, (old.signed,)), world.now)
    world.settle()
    assert world.place(1, APP) == ("node-0", False)


def test_an_app_that_is_gone_is_forgotten_after_a_day() -> None:
    world = HomesWorld(2)
    world.connect(0, [APP], STAMP)
    world.disconnect(0, [APP])
    world.pass_time(world.params.kept_s - 1)
    assert world.place(0, APP) == ("node-0", False)
    world.pass_time(world.params.kept_s + world.params.lapse_s)
    assert world.place(0, APP) == (None, False)


def test_what_a_holder_took_of_a_former_connect_says_nothing_of_the_next_one() -> None:
    """It went elsewhere meanwhile, with a stamp above both."""
    world = HomesWorld(2)
    world.connect(1, [APP], STAMP)
    newer = make_home_entry(app_of(9), "node-0", APP, STAMP + 10)
    world.connect(1, [APP], STAMP + 5)
    world.lose = lambda *_: True
    world.connect(1, [APP], STAMP + 6)
    world[1].homes.receive(NodeId("node-0"), EntryOvertaken(newer), world.now)
    world.settle()
    assert [event.late for event in world[1].overtaken] == [True]


def test_what_is_taken_in_after_it_changed_is_the_former_one() -> None:
    world = HomesWorld(2)
    world.lose = lambda *_: True
    world.connect(1, [APP], STAMP)
    number = next(message.number for _, _, message in world.sent if isinstance(message, HoldEntries))
    world.connect(1, [APP], STAMP + 5)
    homes = world[1].homes
    homes.receive(NodeId("node-0"), EntriesHeld(number), world.now)
    homes.receive(NodeId("node-0"), EntryOvertaken(make_home_entry(app_of(9), "node-0", APP, STAMP + 10)), world.now)
    world.settle()
    assert [event.late for event in world[1].overtaken] == [True]
