"""What one member may ask of another: honest bursts pass, more is refused to the one that asks, and nobody else feels it."""

from __future__ import annotations

import pytest

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.askers import Askers
from hermes_core.mesh.homes.machine import AskerRefused
from hermes_core.mesh.homes.messages import EntryFound, FindEntry, FindRefused, HomesMessage
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import Found
from tests.support.homes_world import HomesWorld, Member, app_of, id_of, with_times

GREEDY, OTHER = NodeId("node-1"), NodeId("node-2")
APP = app_of(1)
FEW = HomesParams(asked_burst=4, asked_refill_s=0.5)


def ask(world: HomesWorld, member: Member, asker: NodeId, count: int, app: int = 1) -> list[HomesMessage]:
    """What is answered to this many questions at once."""
    for number in range(count):
        member.homes.receive(asker, FindEntry(number, id_of(app_of(app))), world.now)
    output = member.homes.take_output()
    member.events += output.events
    return [message for receiver, message in output.sends if receiver == asker]


def refusals(member: Member) -> list[AskerRefused]:
    return [event for event in member.events if isinstance(event, AskerRefused)]


def test_a_member_that_asks_without_end_is_refused_and_hears_when_to_ask_again() -> None:
    world = HomesWorld(3, FEW)
    answers = ask(world, world[0], GREEDY, 6)
    assert [type(answer) for answer in answers] == [EntryFound] * 4 + [FindRefused] * 2
    assert answers[-1] == FindRefused(5, ErrorCode.HANDSHAKE_THROTTLED, 500)
    assert isinstance(ask(world, world[0], OTHER, 1)[0], EntryFound), "nobody else pays for it"
    world.now += 0.5
    assert [type(answer) for answer in ask(world, world[0], GREEDY, 2)] == [EntryFound, FindRefused]


def test_other_names_are_no_other_budget() -> None:
    world = HomesWorld(3, FEW)
    answers = [answer for app in range(6) for answer in ask(world, world[0], GREEDY, 1, app)]
    assert [type(answer) for answer in answers] == [EntryFound] * 4 + [FindRefused] * 2


def test_who_asks_too_much_is_named_once_in_a_while() -> None:
    world = HomesWorld(3, FEW)
    ask(world, world[0], GREEDY, 104)
    assert [event.news for event in refusals(world[0])] == [True] + [False] * 99
    world.now += FEW.named_s
    ask(world, world[0], GREEDY, 104)
    assert [event.news for event in refusals(world[0])] == ([True] + [False] * 99) * 2


def test_who_goes_and_comes_has_no_new_budget_and_nobody_is_remembered_for_ever() -> None:
    world = HomesWorld(3, FEW)
    ask(world, world[0], GREEDY, 4)
    for up in ({OTHER: 1}, {OTHER: 1, GREEDY: 2}):
        world[0].homes.set_members(up, world.now)
    assert isinstance(ask(world, world[0], GREEDY, 1)[0], FindRefused)
    askers = Askers(FEW)
    assert askers.charge(GREEDY, 0.0) == 0
    askers.tidy([OTHER], 0.0)
    assert len(askers) == 1
    askers.tidy([OTHER], FEW.asked_refill_s)
    assert len(askers) == 0


def test_a_node_with_ten_thousand_apps_that_all_look_for_somebody_is_answered_twice_over() -> None:
    """In a mesh of two, where all are asked of the one other node; and after half a minute again."""
    world = HomesWorld(2)
    for times in (2, 1, 1):
        for number in range(10_000 * times):
            world[0].homes.receive(GREEDY, FindEntry(number, AppId(f"{number:032d}")), world.now)
        assert not any(isinstance(message, FindRefused) for _, message in world[0].homes.take_output().sends)
        world.now += 30


@pytest.mark.parametrize("refusing", [1, 2])
def test_who_is_refused_asks_the_next_holder_at_once_and_the_busy_one_last(refusing: int) -> None:
    world = HomesWorld(8, with_times(asked_burst=50, asked_refill_s=1000))
    world.connect(0, [APP], 5_000)
    holders = world.holders(APP)
    asker = next(index for index in range(8) if world[index].name not in {*holders, "node-0"})
    for holder in holders[:refusing]:
        ask(world, world.members[holder], world[asker].name, 50)
    began = world.now
    for _ in range(6):
        assert world.place(asker, APP) == ("node-0", True)
    assert world.now == began
    assert sum(isinstance(message, FindRefused) for _, _, message in world.sent) <= refusing, "they say for how long"


def test_when_all_refuse_nobody_says_that_the_app_is_not_known() -> None:
    world = HomesWorld(3, with_times(asked_burst=1, asked_refill_s=1000))
    for index in (1, 2):
        ask(world, world[index], NodeId("node-0"), 1)
    began = world.now
    assert world.look_up(0, APP) == Found(id_of(APP), None, online=False, complete=False)
    assert world.now == began


def test_a_refusal_that_nobody_asked_for_changes_nothing() -> None:
    world = HomesWorld(8)
    world.connect(0, [APP], 5_000)
    asker = next(index for index in range(8) if world[index].name not in {*world.holders(APP), "node-0"})
    homes = world[asker].homes
    homes.look_up(id_of(APP), world.now)
    ((holder, question),) = homes.take_output().sends
    assert isinstance(question, FindEntry)
    stranger = next(name for name in world.members if name not in {holder, world[asker].name})
    homes.receive(stranger, FindRefused(question.number, ErrorCode.HANDSHAKE_THROTTLED, 1), world.now)
    homes.receive(holder, FindRefused(question.number + 1, ErrorCode.HANDSHAKE_THROTTLED, 1), world.now)
    assert homes.take_output().sends == []
    homes.receive(holder, FindRefused(question.number, ErrorCode.HANDSHAKE_THROTTLED, 1), world.now)
    assert len(homes.take_output().sends) == 1
