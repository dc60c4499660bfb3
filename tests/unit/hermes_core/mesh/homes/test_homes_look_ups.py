"""Look-ups: who is asked and in which order, what is believed, what liars among holders can do, how many run at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.homes.entry import HomeEntry
from hermes_core.mesh.homes.messages import EntryFound, FindEntry, HoldEntries
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import Found
from tests.support.homes_world import HomesWorld, Member, app_of, id_of, make_home_entry

APP = app_of(1)
STAMP = 5_000


def asked(world: HomesWorld, since: int = 0) -> list[NodeId]:
    return [receiver for _, receiver, message in world.sent[since:] if isinstance(message, FindEntry)]


def outsider(world: HomesWorld, *also_not: str) -> int:
    """A node that holds nothing of the app."""
    taken = {*world.holders(APP), *also_not}
    return next(index for index in range(len(world.members)) if world[index].name not in taken)


def a_world() -> tuple[HomesWorld, Member, list[NodeId], int]:
    """The app at home on a node; who holds its entry; somebody who does not."""
    world = HomesWorld(8)
    world.connect(0, [APP], STAMP)
    return world, world[0], world.holders(APP), outsider(world, "node-0")


def test_one_holder_is_asked_when_it_knows() -> None:
    world, home, holders, asker = a_world()
    assert world.place(asker, APP) == (home.name, True)
    assert len(asked(world)) == 1
    assert asked(world)[0] in [*holders, home.name]


def test_who_holds_the_entry_or_is_home_asks_nobody() -> None:
    world, _, holders, _ = a_world()
    world.place(int(holders[0][-1]), APP)
    world.place(0, APP)
    assert asked(world) == []


def test_who_was_a_holder_once_asks_those_that_are_and_counts_what_it_kept_if_nobody_answers() -> None:
    """In a mesh that comes up everybody is a holder for a moment."""
    world, whole = HomesWorld(2), HomesWorld(9)
    app = next(app for app in map(app_of, range(99)) if "node-1" not in whole.holders(app))
    world.connect(0, [app], STAMP)
    world.members |= {name: member for name, member in whole.members.items() if name not in world.members}
    world.tell_members()
    assert world[1].homes.count_held() == 1
    world.connect(2, [app], STAMP + 1)
    assert world.place(1, app) == (world[2].name, True)
    world.lose = lambda sender, receiver, _: "node-1" in (sender, receiver)
    assert world.place(1, app) == (world[0].name, True)


def test_a_second_and_a_third_are_asked_when_the_first_has_none_or_says_nothing() -> None:
    world, home, _, asker = a_world()
    ring = set()
    for silent in (False, True):
        for _ in range(3):
            since = len(world.sent)
            deaf: list[NodeId] = []

            def lose(_sender: NodeId, receiver: NodeId, message: object, deaf: list[NodeId] = deaf) -> bool:
                if isinstance(message, FindEntry) and receiver not in deaf and len(deaf) < 2:
                    deaf.append(receiver)
                    return True
                return False

            world.lose = lose if silent else (lambda *_: False)
            began = world.now
            assert world.place(asker, APP) == (home.name, True)
            ring |= set(asked(world, since))
            assert world.now - began == (2 * world.params.answer_s if silent else 0)
    assert len(ring) == 3, "whoever was first is not the first again"


def test_an_app_that_nobody_knows_and_one_of_which_nobody_says_anything() -> None:
    world, *_, asker = a_world()
    assert world.look_up(asker, app_of(2)) == Found(id_of(app_of(2)), None, online=False, complete=True)
    assert len(asked(world)) == 3
    world.lose = lambda _sender, _receiver, message: isinstance(message, FindEntry)
    found = world.look_up(asker, APP)
    assert (found.entry, found.complete) == (None, False)


def test_an_app_that_is_gone_is_known_as_gone_and_so_is_one_whose_home_is() -> None:
    world, home, _, asker = a_world()
    world.disconnect(0, [APP])
    assert world.place(asker, APP) == (home.name, False)
    world.connect(0, [APP], STAMP + 1)
    assert world.place(asker, APP) == (home.name, True)
    world.kill(0)
    assert world.place(asker, APP) == (home.name, False)


def test_a_home_that_began_anew_is_asked_itself() -> None:
    """What it said in its former run says nothing of this one; what it goes on saying under a higher number does."""
    world, home, _, asker = a_world()
    world.restart(0)
    assert world.place(asker, APP) == (home.name, False)
    world.connect(0, [APP], STAMP + 1)
    assert world.place(asker, APP) == (home.name, True)
    world[0].incarnation = 9
    world[0].homes.set_incarnation(9)
    world.tell_members()
    since = len(world.sent)
    assert world.place(asker, APP) == (home.name, True)
    assert asked(world, since)[-1] == home.name


def test_a_home_that_began_anew_and_says_nothing_has_nobody() -> None:
    world, home, _, asker = a_world()
    world.restart(0)
    world.lose = lambda _sender, receiver, message: receiver == "node-0" and isinstance(message, FindEntry)
    assert world.place(asker, APP) == (home.name, False)


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: None,
        lambda entry: replace(entry, signed=bytes([entry.signed[0] ^ 1]) + entry.signed[1:]),
        lambda entry: replace(entry, signed=entry.signed[:39] + bytes([entry.signed[39] ^ 1]) + entry.signed[40:]),
        lambda entry: replace(entry, signed=entry.signed[:152] + bytes([entry.signed[152] ^ 1]) + entry.signed[153:]),
        lambda entry: replace(entry, home=replace(entry.home, node_id=NodeId("node-7"))),
        lambda entry: replace(entry, home=replace(entry.home, node_key=app_of(3).public_key)),
    ],
    ids=["none", "app", "stamp", "presence", "another node", "another key"],
)
def test_liars_among_holders_can_leave_out_and_no_more(lie: Callable[[HomeEntry], HomeEntry | None]) -> None:
    """Also two of three of them, whatever they answer."""
    world, home, _, asker = a_world()
    entry = world.ask(home.name, APP)
    assert entry is not None
    liars: list[NodeId] = []

    def lose(sender: NodeId, receiver: NodeId, message: object) -> bool:
        if isinstance(message, FindEntry) and (receiver in liars or len(liars) < 2):
            liars.append(receiver)
            world.members[sender].homes.receive(receiver, EntryFound(message.number, lie(entry)), world.now)
            return True
        return False

    world.lose = lose
    assert world.place(asker, APP) == (home.name, True)
    assert len(set(liars)) == 2


def test_an_answer_of_another_app_or_of_who_was_not_asked_is_none() -> None:
    world, *_, asker = a_world()
    other = make_home_entry(world[5].identity, "node-5", app_of(2), STAMP)
    mine = make_home_entry(world[5].identity, "node-5", APP, STAMP + 5)
    member = world[asker].homes

    def lose(sender: NodeId, receiver: NodeId, message: object) -> bool:
        if isinstance(message, FindEntry):
            stranger = next(name for name in world.members if name != receiver)
            member.receive(stranger, EntryFound(message.number, mine), world.now)
            member.receive(receiver, EntryFound(message.number + 1, mine), world.now)
            member.receive(receiver, EntryFound(message.number, other), world.now)
            return True
        return False

    world.lose = lose
    found = world.look_up(asker, APP)
    assert (found.entry, found.complete) == (None, True)


def test_of_several_answers_the_highest_stamp_counts() -> None:
    """Where the first says that the app is away, the others are asked too: one may not have heard of its new home."""
    world, _, holders, asker = a_world()
    world.disconnect(0, [APP])
    behind = holders[0]
    world.lose = lambda _sender, receiver, message: receiver == behind and isinstance(message, HoldEntries)
    world.connect(outsider(world, "node-0", world[asker].name), [APP], STAMP + 1)
    for _ in range(3):
        found = world.look_up(asker, APP)
        assert found.online
        assert found.entry is not None
        assert found.entry.stamp == STAMP + 1


def test_a_late_answer_is_as_good() -> None:
    world, home, _, asker = a_world()
    late: list[tuple[NodeId, FindEntry]] = []

    def lose(_sender: NodeId, receiver: NodeId, message: object) -> bool:
        if isinstance(message, FindEntry):
            late.append((receiver, message))
        return isinstance(message, FindEntry)

    world.lose = lose
    member = world[asker]
    member.homes.look_up(id_of(APP), world.now)
    world.settle()
    world.pass_time(world.params.answer_s)
    holder, question = late[0]
    member.homes.receive(holder, EntryFound(question.number, world.ask(home.name, APP)), world.now)
    world.settle()
    assert [event.online for event in member.events if isinstance(event, Found)] == [True]


def test_one_app_is_looked_for_once_however_many_ask() -> None:
    world, *_, asker = a_world()
    for _ in range(5):
        world[asker].homes.look_up(id_of(APP), world.now)
    world.settle()
    assert len(asked(world)) == 1
    assert len([event for event in world[asker].events if isinstance(event, Found)]) == 1


def test_look_ups_under_way_are_bounded() -> None:
    world = HomesWorld(3, HomesParams(max_under_way=10))
    world.lose = lambda _sender, _receiver, message: isinstance(message, FindEntry)
    for index in range(100):
        world[0].homes.look_up(id_of(app_of(index)), world.now)
    world.settle()
    found = [event for event in world[0].events if isinstance(event, Found)]
    assert (len(found), {event.complete for event in found}) == (90, {False})
    world.pass_time(5)
    assert len([event for event in world[0].events if isinstance(event, Found)]) == 100


def test_a_node_without_others_knows_its_own() -> None:
    world = HomesWorld(1)
    world.connect(0, [APP], STAMP)
    world.disconnect(0, [APP])
    assert world.place(0, APP) == ("node-0", False)
    assert world.look_up(0, app_of(2)) == Found(id_of(app_of(2)), None, online=False, complete=True)


def test_a_home_that_has_nothing_of_its_own_app_is_believed_before_a_holder() -> None:
    """The app left, and that holder did not hear of it."""
    world = HomesWorld(4)
    apps = [app_of(number) for number in range(20)]
    world.connect(0, apps, STAMP)
    shown = {id_of(app): world.ask(NodeId("node-0"), app) for app in apps}
    world[0].homes = HomesWorld(4)[0].homes  # as after a loss of memory that nobody noticed
    checked = 0
    for app in apps:
        asker = next((index for index in (1, 2, 3) if world[index].name not in world.holders(app)), None)
        if asker is None:
            continue
        for _ in range(3):
            since = len(world.sent)
            found = world.look_up(asker, app)
            first = asked(world, since)[0]
            assert found.online is (first != "node-0")
            assert found.entry == shown[id_of(app)]
            checked += first == "node-0"
    assert checked
