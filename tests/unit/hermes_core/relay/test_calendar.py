"""What a run learns late of the date: chats that were idle before it end by confirmed time alone, and no timer of it moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_core.endpoint.events import ChatEnded
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.protocol.messages import CloseReason, ErrorNotice
from hermes_core.relay.events import RekeyRequired
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld

DAY_S = 86_400.0
IDLE_S = 30 * DAY_S
PARAMS = ChatParams(idle_timeout_s=IDLE_S, max_key_lifetime_s=365 * DAY_S)


def restart(world: HonestWorld, *, counted: float) -> None:
    """The node was away, and so much of that counts at its start; the world's clock is that of its run."""
    world.kill(world.n)
    world.now += counted
    world.n.store.last_seen_s = None  # what is believed of a clock is tried elsewhere
    world.n.start(world.now)


def move(world: HonestWorld, ahead_s: float) -> None:
    world.n.running.set_calendar(ahead_s, world.now)
    world.n.flush()


def stored_on(world: HonestWorld) -> list[int]:
    return [parse_chat_record(data).last_active_at_s for data in world.n.store.records.values()]


def test_time_that_is_confirmed_later_ends_what_was_idle_for_too_long() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    world.open_chat()
    restart(world, counted=7 * DAY_S)
    world.reconnect()
    assert world.n.running.live_chats() == 1
    move(world, IDLE_S - 7 * DAY_S + 1.0)
    world.pass_time(1.0)
    assert world.n.running.live_chats() == 0
    assert [event.reason for event in world.events_of(world.a, ChatEnded)] == [CloseReason.EXPIRED]


def test_time_that_turns_out_not_to_have_passed_ends_nothing() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    world.open_chat()
    world.now += IDLE_S - 3 * DAY_S
    restart(world, counted=4 * DAY_S)
    move(world, 3600.0 - 4 * DAY_S)
    world.pass_time(1.0)
    assert world.n.running.live_chats() == 1
    world.pass_time(3 * DAY_S)
    assert world.n.running.live_chats() == 0


@pytest.mark.parametrize("ahead_s", [2 * IDLE_S, -5 * DAY_S])
def test_what_was_active_in_this_run_is_as_old_as_before_and_stored_with_the_date(ahead_s: float) -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    chat_id = world.open_chat()
    restart(world, counted=7 * DAY_S)
    world.reconnect()
    world.send(world.a, chat_id)
    world.run()
    active_at = world.chat_of(world.n, chat_id).lifetime.last_active_at
    move(world, ahead_s)
    world.pass_time(1.0)
    assert world.n.running.live_chats() == 1
    assert world.chat_of(world.n, chat_id).lifetime.idle_at == active_at + IDLE_S
    assert stored_on(world) == [int(active_at + ahead_s)]


def test_what_was_active_before_keeps_its_stored_date() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    chat_id = world.open_chat()
    before = stored_on(world)
    restart(world, counted=DAY_S)
    move(world, 4 * DAY_S)
    assert int(world.chat_of(world.n, chat_id).lifetime.last_active_on) == before[0]
    assert stored_on(world) == before


def test_notices_are_kept_by_the_date() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    chat_id = world.open_chat()
    world.cut("app-1", "node-0")
    world.delete(world.a, chat_id)
    world.run()
    assert len(world.n.store.tombstones) == 1
    ttl = PARAMS.tombstone_ttl_s
    restart(world, counted=ttl - 10.0)
    move(world, 20.0)
    world.pass_time(1.0)
    assert not world.n.store.tombstones


def test_keys_of_before_this_run_are_doubted_once_and_those_made_in_it_are_not() -> None:
    world = HonestWorld(nodes=1, params=PARAMS)
    old = world.open_chat()
    restart(world, counted=DAY_S)
    world.reconnect()
    new = world.open_chat()
    for _ in range(2):
        world.n.running.doubt_keys(world.now)
        world.n.flush()
        world.pass_time(1.0)
        world.run()
    assert world.events_of(world.n, RekeyRequired) == [RekeyRequired(old)]
    assert {chat_id: world.chat_of(world.n, chat_id).hops.epochs for chat_id in (old, new)} == {old: (2, 2), new: (1, 1)}


def test_a_grace_that_runs_has_no_end_once_the_clock_is_in_doubt() -> None:
    world = HonestWorld(nodes=1, params=ChatParams(idle_timeout_s=IDLE_S, max_key_lifetime_s=DAY_S, rekey_grace_s=60.0))
    chat_id = world.open_chat()
    restart(world, counted=2 * DAY_S)
    world.n.running.doubt_keys(world.now)
    lifetime = world.chat_of(world.n, chat_id).lifetime
    lifetime.rekey_deadline = world.now + 60.0
    world.n.running.doubt_keys(world.now)
    assert lifetime.rekey_deadline == float("inf")


def ask_deaf_apps(*, max_key_messages: int = 1000) -> tuple[HonestWorld, ChatId]:
    """A clock is in doubt at a start, and neither app does what REKEY_REQUIRED asks of it."""
    params = ChatParams(max_key_lifetime_s=DAY_S, rekey_grace_s=60.0, max_key_messages=max_key_messages)
    world = HonestWorld(nodes=1, params=params)
    chat_id = world.open_chat()
    for app in world.apps.values():
        app.machine.receive = deafen(app.machine.receive)  # type: ignore[assignment,method-assign]
    world.kill(world.n)
    world.n.start(world.now, keys_in_doubt=True)
    world.reconnect()
    assert world.events_of(world.n, RekeyRequired) == [RekeyRequired(chat_id)]
    return world, chat_id


def deafen(receive: Callable[[Any, float], None]) -> Callable[[Any, float], None]:
    def hear(message: Any, now: float) -> None:
        if not (isinstance(message, ErrorNotice) and message.code is ErrorCode.REKEY_REQUIRED):
            receive(message, now)

    return hear


def test_apps_that_ignore_a_doubt_have_the_grace_once_the_keys_served_a_whole_lifetime_in_the_run() -> None:
    world, chat_id = ask_deaf_apps()
    world.pass_time(DAY_S - 1.0)
    assert world.n.running.live_chats() == 1, "a doubt alone ends nothing"
    world.pass_time(1.0)
    assert world.events_of(world.n, RekeyRequired) == [RekeyRequired(chat_id)] * 2
    world.pass_time(59.0)
    assert world.n.running.live_chats() == 1
    world.pass_time(1.0)
    assert world.n.running.live_chats() == 0
    assert [event.reason for event in world.events_of(world.a, ChatEnded)] == [CloseReason.RATCHET_FAILED]


def test_apps_that_ignore_a_doubt_have_the_grace_once_the_keys_carried_all_that_they_may() -> None:
    world, chat_id = ask_deaf_apps(max_key_messages=16)
    for _ in range(16):
        assert len(world.events_of(world.n, RekeyRequired)) == 1
        world.send(world.a, chat_id)
        world.run()
    assert len(world.events_of(world.n, RekeyRequired)) == 2
    world.pass_time(59.0)
    world.n.running.doubt_keys(world.now)
    assert world.n.running.live_chats() == 1
    world.pass_time(1.0)
    assert world.n.running.live_chats() == 0, "another doubt does not put it off: messages are counted by no clock"


def test_the_grace_of_a_doubt_runs_only_while_both_apps_are_there() -> None:
    world, chat_id = ask_deaf_apps()
    world.cut("app-1", "node-0")
    world.pass_time(3 * DAY_S)
    assert world.n.running.live_chats() == 1
    world.connect_app(world.b)
    world.run()
    assert world.events_of(world.n, RekeyRequired) == [RekeyRequired(chat_id)] * 2
    world.pass_time(61.0)
    assert world.n.running.live_chats() == 0
