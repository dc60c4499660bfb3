"""Which frame that is ahead ends its stream, and which was only preceded by what a hop had to refuse unopened."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.payload import encode_data
from tests.model.honest import HonestWorld

JUNK = encode_data(1, bytes(100))


def quarantine(world: HonestWorld) -> ChatId:
    """A chat of two apps of one node, whose keystore is then said to be an older copy; nobody has heard of it yet."""
    chat_id = world.open_chat()
    for app in (world.a, world.b):
        world.send(app, chat_id)
        world.run()
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    return chat_id


def run_until(world: HonestWorld, reached: Callable[[], bool]) -> None:
    while not reached():
        world.deliver(*world.queues()[0])


def last_notice(world: HonestWorld, app: str) -> ErrorCode:
    notice = world.messages("node-0", app, ErrorNotice)[-1]
    assert isinstance(notice, ErrorNotice)
    return notice.code


def test_a_frame_of_the_old_epoch_after_one_that_was_refused_unopened_ends_nothing() -> None:
    world = HonestWorld(nodes=1)
    chat_id = quarantine(world)
    first, second = (world.seal_as_app(world.a, chat_id, JUNK) for _ in range(2))
    hop = world.chat_of(world.n, chat_id).hops[0]
    world.inject("app-0", "node-0", first)
    run_until(world, lambda: hop.channel.epoch == 2)
    assert hop.channel.epochs.old is not None
    world.inject("app-0", "node-0", second)
    assert world.hang_ups == 0
    world.run()
    assert last_notice(world, "app-0") is ErrorCode.CHAT_NOT_READY
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received["app-1"] == 2
    assert world.hang_ups == 0


def test_a_hop_with_new_keys_stays_in_step_while_its_chat_is_quarantined() -> None:
    world = HonestWorld(nodes=1)
    chat_id = quarantine(world)
    node_chat = world.chat_of(world.n, chat_id)
    run_until(world, lambda: any(hop.state.ready for hop in node_chat.hops))
    index = 0 if node_chat.hops[0].state.ready else 1
    app, name = ((world.a, "app-0"), (world.b, "app-1"))[index]
    leg = app.machine.chats[chat_id].leg

    def told() -> list[ErrorCode]:
        return [notice.code for notice in world.messages("node-0", name, ErrorNotice)]

    while leg.epoch != 2:
        world.step("node-0", name)
    assert node_chat.state is ChatState.QUARANTINED
    early, late = (world.seal_as_app(app, chat_id, JUNK) for _ in range(2))
    before = len(told()) + sum(isinstance(message, ErrorNotice) for message in world.stream("node-0", name).inbox[name])
    world.inject(name, "node-0", early)
    run_until(world, lambda: node_chat.state is ChatState.ACTIVE)
    world.inject(name, "node-0", late)
    assert world.hang_ups == 0
    world.run()
    assert told()[before:] == [ErrorCode.ROLLBACK_DETECTED], "the first was refused"
    assert node_chat.hops[index].channel.recv_next >= 2


def test_no_epoch_is_in_step_once_its_stream_is_gone() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    channels = [world.a.machine.chats[chat_id].leg, *(hop.channel for hop in world.chat_of(world.n, chat_id).hops)]
    epochs = [channel.epochs.require_current() for channel in channels]
    assert all(epoch.in_step for epoch in epochs)
    world.cut("app-0", "node-0")
    world.cut("node-0", "node-1")
    assert not any(epoch.in_step for epoch in epochs)
    world.reconnect()
    assert all(epoch.in_step for epoch in epochs)
