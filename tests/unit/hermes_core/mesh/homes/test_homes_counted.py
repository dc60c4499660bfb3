"""What the directory says for metrics and log: how look-ups end, what becomes of entries, whose holders are others."""

from __future__ import annotations

from hermes_core.mesh.homes.machine import EntryFate, HoldersChanged
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import LookUpEnded, LookUpResult
from tests.support.homes_world import HomesWorld, app_of

APPS = [app_of(index) for index in range(12)]
APP, STAMP = APPS[0], 5_000


def asks_until(world: HomesWorld, index: int = 0) -> LookUpEnded:
    world[index].look_ups.clear()
    world.look_up(index, APP)
    (ended,) = world[index].look_ups
    return ended


def test_a_look_up_ends_in_one_result_and_says_how_long_it_took() -> None:
    world = HomesWorld(6)
    assert asks_until(world) == LookUpEnded(LookUpResult.UNKNOWN, 0.0)
    world.connect(1, [APP], STAMP)
    assert asks_until(world) == LookUpEnded(LookUpResult.FOUND, 0.0)
    world.disconnect(1, [APP])
    assert asks_until(world) == LookUpEnded(LookUpResult.AWAY, 0.0)
    world.lose = lambda _sender, receiver, _message: receiver == world[0].name
    ended = asks_until(world)
    assert ended.result is LookUpResult.UNANSWERED
    assert ended.seconds >= world.params.answer_s


def test_a_look_up_for_which_there_is_no_room_is_one_that_nobody_answered() -> None:
    world = HomesWorld(3, HomesParams(max_under_way=0))
    assert asks_until(world) == LookUpEnded(LookUpResult.UNANSWERED, 0.0)


def test_entries_count_where_they_are_handed_on_and_where_they_are_taken_in() -> None:
    world = HomesWorld(8)
    world.connect(0, APPS, STAMP)
    handed = world[0].entries[EntryFate.HANDED]
    assert sum(member.entries[EntryFate.HELD] for member in world.members.values()) == handed >= 2 * len(APPS)
    world.connect(1, APPS, STAMP - 1)
    overtaken = sum(member.entries[EntryFate.OVERTAKEN] for member in world.members.values())
    assert overtaken >= len(APPS), "each app's first holder knew of a newer home"


def test_what_finds_no_room_counts_as_such() -> None:
    world = HomesWorld(2, HomesParams(max_held=4))
    world.connect(0, APPS, STAMP)
    assert world[1].entries == {EntryFate.HELD: 4, EntryFate.NO_ROOM: len(APPS) - 4}


def test_a_change_of_holders_is_told_once_with_the_number_of_apps() -> None:
    world = HomesWorld(5)
    world.connect(0, APPS, STAMP)
    world[0].events.clear()
    world.kill(3)
    world.pass_time(1.0)
    (changed,) = world[0].events
    assert isinstance(changed, HoldersChanged)
    assert 0 < changed.apps <= len(APPS)
    world.tell_members()
    assert world[0].events == [changed], "nobody came and nobody went"
