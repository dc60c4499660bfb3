"""Restored chats wait until it is known whether the store is the latest; new ones do not."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatResumed
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import Resume, Sealed
from hermes_core.relay.events import ChatQuarantined, SideResumed
from tests.model.honest import HonestWorld
from tests.model.parties import NodeParty


def open_used_chat(world: HonestWorld) -> ChatId:
    chat_id = world.open_chat()
    for app in world.apps.values():
        world.send(app, chat_id)
    world.run()
    return chat_id


def revive_shut(world: HonestWorld, node: NodeParty) -> None:
    """Killed and started again; what was restored waits."""
    world.kill(node)
    world.run()
    node.start(world.now).hold_resumes()
    world.reconnect()


def release(world: HonestWorld, node: NodeParty) -> None:
    node.running.release_resumes(world.now)
    node.flush()
    world.run()


def received(world: HonestWorld, chat_id: ChatId) -> list[int]:
    return [world.ledger.chats[chat_id].received.get(name, 0) for name in world.apps]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("victim", [0, -1])
def test_nothing_of_a_restored_chat_goes_on_before_the_release_and_everything_does_then(nodes: int, victim: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = open_used_chat(world)
    node = list(world.nodes.values())[victim]
    revive_shut(world, node)
    world.seen.clear()
    for app in world.apps.values():
        world.send(app, chat_id)
    world.pass_time(5)
    left = {type(message) for sender, _, message in world.seen if sender == node.name}
    assert not left & {Resume, Sealed}
    assert received(world, chat_id) == [1, 1]
    release(world, node)
    assert received(world, chat_id) == [2, 2]
    assert world.events_of(node, SideResumed)
    assert not any(world.events_of(app, ChatEnded) for app in world.apps.values())


def test_a_new_chat_is_served_meanwhile() -> None:
    world = HonestWorld(nodes=2)
    open_used_chat(world)
    revive_shut(world, world.n)
    chat_id = open_used_chat(world)
    assert received(world, chat_id) == [1, 1]


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_verdict_that_comes_before_the_release_lets_no_chat_go_on_under_its_old_keys(nodes: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = open_used_chat(world)
    epoch = world.a.machine.chats[chat_id].leg.epoch
    revive_shut(world, world.n)
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    world.seen.clear()
    release(world, world.n)
    assert world.events_of(world.n, ChatQuarantined)
    assert not world.events_of(world.n, SideResumed)
    world.pass_time(60)
    assert world.chat_of(world.n, chat_id).state is ChatState.ACTIVE
    assert world.a.machine.chats[chat_id].leg.epoch > epoch
    for app in world.apps.values():
        world.send(app, chat_id)
    world.run()
    assert received(world, chat_id) == [2, 2]


def test_what_was_claimed_on_a_stream_that_broke_is_not_taken_up() -> None:
    world = HonestWorld(nodes=1)
    chat_id = open_used_chat(world)
    revive_shut(world, world.n)
    world.cut("app-0", world.n.name)
    release(world, world.n)
    assert not world.events_of(world.a, ChatResumed)
    world.reconnect()
    assert world.events_of(world.a, ChatResumed)
    world.send(world.a, chat_id)
    world.run()
    assert received(world, chat_id) == [1, 2]


def test_a_gate_that_is_open_lets_everything_through_and_a_second_release_does_nothing() -> None:
    world = HonestWorld(nodes=1)
    chat_id = open_used_chat(world)
    world.seen.clear()
    release(world, world.n)
    assert world.seen == []
    world.send(world.a, chat_id)
    world.run()
    assert received(world, chat_id) == [1, 2]


@pytest.mark.parametrize("first", ["verdict", "gate"])
def test_after_a_verdict_nobody_is_waited_for(first: str) -> None:
    """Claims that left after new keys were agreed on would have the other node drop those."""
    world = HonestWorld(nodes=2)
    chat_id = open_used_chat(world)
    world.kill(world.n)
    world.run()
    chats = world.n.start(world.now)
    if first == "gate":
        chats.hold_resumes()
        world.reconnect()
    chats.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    chats.hold_resumes()
    world.n.flush()
    world.reconnect()
    world.pass_time(1)
    assert world.chat_of(world.n, chat_id).state is ChatState.ACTIVE
    release(world, world.n)
    for app in world.apps.values():
        world.send(app, chat_id)
    world.run()
    assert received(world, chat_id) == [2, 2]


def test_a_chat_that_is_being_opened_meanwhile_claims_nothing() -> None:
    """It has no epoch yet; a resume without a claim would have ended the stream."""
    world = HonestWorld(nodes=2)
    open_used_chat(world)
    revive_shut(world, world.n)
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    world.step("app-0", world.n.name)
    world.seen.clear()
    world.n.running.release_resumes(world.now)
    world.n.flush()
    world.run()
    assert all(message.claims for _, _, message in world.seen if isinstance(message, Resume))
    assert world.chat_of(world.n, chat_id).state is ChatState.ACTIVE
