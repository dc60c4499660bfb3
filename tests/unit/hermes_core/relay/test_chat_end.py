"""Ends of chats: every way, one notice for each other party, nothing left on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from hermes_core.endpoint.events import ChatEnded
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Closed, ClosedAck, CloseReason, Delete, ErrorNotice, Resume
from hermes_core.relay import router
from hermes_core.relay.events import ChatErased, NoticeDelivered
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld
from tests.model.seals import watch_seals

DAY_S = 86_400.0


def reasons(world: HonestWorld) -> list[list[CloseReason]]:
    return [[event.reason for event in world.events_of(app, ChatEnded)] for app in world.apps.values()]


def assert_nothing_left(world: HonestWorld) -> None:
    for node in world.nodes.values():
        machine = node.running
        assert not node.store.records
        assert not node.store.tombstones
        assert not node.chats
        assert not machine._index._rows
        assert not machine._index._by_neighbour
        assert not machine._tombstones._by_receiver
        assert not machine._admission.offers
        assert not machine.live_tieline_chats()
        assert machine._index.next_due() is None


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_caller_that_gives_up_before_it_has_the_answer_leaves_nobody_waiting(nodes: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    path = ["app-0", *(f"node-{number}" for number in range(nodes)), "app-1"]
    for sender, receiver in pairwise(path):
        world.step(sender, receiver)
    world.decide(world.b, accept=True)
    for receiver, sender in reversed([*pairwise(path[1:])]):
        world.step(sender, receiver)
    if nodes == 2:  # with the confirmation of its hop, which needs nothing of the caller, the chat is open there
        world.step("node-0", "node-1")
        assert world.chat_of(world.m, chat_id).state is ChatState.ACTIVE
    world.delete(world.a, chat_id)
    world.run()
    assert reasons(world) == [[CloseReason.DELETED], [CloseReason.DELETED_BY_PEER]]
    assert_nothing_left(world)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("by", ["app-0", "app-1"])
def test_delete(nodes: int, by: str) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    channels = [hop.channel for node in world.nodes.values() for hop in world.chat_of(node, chat_id).hops]
    channels += [channel for app in world.apps.values() for channel in _channels(world, app.name, chat_id)]
    epochs = [channel.epochs.current for channel in channels]
    world.delete(world.apps[by], chat_id)
    world.run()
    ends = reasons(world)
    assert ends[int(by[-1])] == [CloseReason.DELETED]
    assert ends[1 - int(by[-1])] == [CloseReason.DELETED_BY_PEER]
    assert_nothing_left(world)
    for epoch in epochs:
        assert epoch is not None
        assert epoch.mac.wiped
        assert epoch.ratchet.wiped
        assert not any(epoch.send._key)
        assert not any(epoch.recv._key)
    for node in world.nodes.values():
        assert len(world.events_of(node, ChatErased)) == 1
        assert len(world.events_of(node, NoticeDelivered)) == 1


def _channels(world: HonestWorld, app: str, chat_id: ChatId) -> list:  # type: ignore[type-arg]
    chat = world.apps[app].machine.chats[chat_id]
    return [chat.end_to_end, chat.leg]


def test_both_delete_at_once() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.delete(world.a, chat_id)
    world.delete(world.b, chat_id)
    world.run()
    assert reasons(world) == [[CloseReason.DELETED], [CloseReason.DELETED]]
    assert_nothing_left(world)


@pytest.mark.parametrize("away", ["app-1", "node-1"])
def test_notice_waits_for_a_party_that_is_away(away: str) -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    if away == "app-1":
        world.cut("app-1", "node-1")
    else:
        world.kill(world.m)
    world.run()
    world.delete(world.a, chat_id)
    world.run()
    holder = world.m if away == "app-1" else world.n
    assert list(holder.store.tombstones) == [chat_id]
    assert not holder.store.records
    world.kill(holder)  # the notice outlives a restart
    world.run()
    holder.start(world.now)
    if away == "node-1":
        world.m.start(world.now)
    world.reconnect()
    assert reasons(world) == [[CloseReason.DELETED], [CloseReason.DELETED_BY_PEER]]
    assert_nothing_left(world)


def test_notice_is_repeated_until_acknowledged_and_heard_once() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.delete(world.a, chat_id)
    while not world.messages("node-1", "app-1", Closed):
        world.deliver(*world.queues()[0])
    world.cut("app-1", "node-1")  # with the acknowledgement on its way
    world.run()
    assert list(world.m.store.tombstones) == [chat_id]
    world.reconnect()
    assert len(world.messages("node-1", "app-1", Closed)) == 2
    assert reasons(world)[1] == [CloseReason.DELETED_BY_PEER]
    assert_nothing_left(world)


def test_delete_that_was_lost_is_made_up_for() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.delete(world.a, chat_id)
    world.stream("app-0", "node-0").inbox["node-0"].clear()
    world.cut("app-0", "node-0")
    world.run()
    assert world.b.live() == [chat_id]
    world.reconnect()
    assert reasons(world) == [[CloseReason.DELETED], [CloseReason.DELETED_BY_PEER]]
    assert_nothing_left(world)


def test_delete_while_disconnected() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.delete(world.a, chat_id)
    world.reconnect()
    assert reasons(world) == [[CloseReason.DELETED], [CloseReason.DELETED_BY_PEER]]
    assert_nothing_left(world)


def test_idle_chat_expires() -> None:
    world = HonestWorld(params=ChatParams(idle_timeout_s=1000.0))
    chat_id = world.open_chat()
    world.pass_time(900.0)
    world.send(world.a, chat_id)
    world.run()
    world.pass_time(900.0)
    assert world.a.live() == [chat_id]
    world.pass_time(200.0)
    assert reasons(world) == [[CloseReason.EXPIRED], [CloseReason.EXPIRED]]
    assert_nothing_left(world)


def test_chat_that_expired_while_its_node_was_down() -> None:
    world = HonestWorld(params=ChatParams(idle_timeout_s=1000.0))
    world.open_chat()
    world.kill(world.n)
    world.run()
    world.now += 2000.0
    world.revive(world.n)
    world.pass_time(1.0)
    assert reasons(world) == [[CloseReason.EXPIRED], [CloseReason.EXPIRED]]
    assert_nothing_left(world)


@pytest.mark.parametrize("restarted", [False, True], ids=["lost", "nobody heard of since a restart"])
def test_no_chat_ends_because_a_node_stays_away(restarted: bool) -> None:
    """Until nothing was said for too long: then both ends hear of that, also the one that was away."""
    world = HonestWorld(params=ChatParams(idle_timeout_s=10 * DAY_S))
    chat_id = world.open_chat()
    world.kill(world.m)
    world.run()
    if restarted:
        world.kill(world.n)
        world.run()
        world.n.start(world.now)
        world.connect_app(world.a)
        world.run()
    world.pass_time(9 * DAY_S)
    assert world.a.live() == [chat_id]
    assert reasons(world)[0] == []
    world.revive(world.m)
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 1}
    world.kill(world.m)
    world.run()
    world.pass_time(11 * DAY_S)
    assert reasons(world)[0] == [CloseReason.EXPIRED]
    world.revive(world.m)
    world.run()
    assert reasons(world)[1] == [CloseReason.EXPIRED]
    assert_nothing_left(world)


def test_shutdown_that_wipes() -> None:
    world = HonestWorld()
    with watch_seals(world.ledger):  # of a leg that is made anew the positions begin again, under other keys
        chat_id = world.open_chat()
        world.n.running.close_all(CloseReason.NODE_SHUTDOWN, world.now)
        world.n.flush()
        assert not world.n.store.records
        world.run()
        assert reasons(world) == [[], []], "it goes on where its apps take it"
        world.send(world.a, chat_id)
        world.send(world.b, chat_id)
        world.pass_time(11.0)
    assert world.ledger.chats[chat_id].received == {"app-0": 1, "app-1": 1}
    assert not world.n.store.tombstones


def test_record_goes_and_notice_comes_in_one_commit() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.n.running.receive(app_neighbour(world.a.app_id), Delete(chat_id), world.now)
    output = world.n.running.take_output()
    assert output.deletes == {chat_id}
    assert [notice.reason for notice in output.tombstone_puts[chat_id].notices] == [CloseReason.DELETED_BY_PEER]
    assert [type(send.message) for send in output.sends] == [Closed]
    assert not output.puts


def test_party_of_an_ended_chat_hears_its_end_again() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-1", "node-1")
    world.run()
    world.delete(world.a, chat_id)
    world.run()
    world.connect_app(world.b)
    resume = world.stream("app-1", "node-1").inbox["node-1"][0]
    assert isinstance(resume, Resume)
    world.step("app-1", "node-1")
    assert [type(message) for message in world.stream("app-1", "node-1").inbox["app-1"]] == [Closed, Closed]
    world.run()
    assert reasons(world)[1] == [CloseReason.DELETED_BY_PEER]
    assert_nothing_left(world)


def test_acknowledgements_of_others_do_not_remove_a_notice() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-1", "node-1")
    world.run()
    world.delete(world.a, chat_id)
    world.run()
    for sender, receiver in (("node-0", "node-1"), ("app-0", "node-0")):
        world.inject(sender, receiver, ClosedAck(chat_id, CloseReason.DELETED))
    world.run()
    assert list(world.m.store.tombstones) == [chat_id]


def test_tombstones_expire_and_are_bounded() -> None:
    world = HonestWorld(params=ChatParams(max_tombstones=2, tombstone_ttl_s=1000.0))
    chats = [world.open_chat() for _ in range(3)]
    world.cut("app-1", "node-1")
    world.run()
    for chat_id in chats:
        world.delete(world.a, chat_id)
        world.run()
    assert list(world.m.store.tombstones) == chats[1:]
    world.pass_time(1001.0)
    assert not world.m.store.tombstones
    world.reconnect()
    assert reasons(world)[1] == [CloseReason.DELETED_BY_PEER] * 3, "the other app has no such chat"


@pytest.mark.parametrize(
    "end",
    [
        lambda world, chat_id: world.inject("node-1", "node-0", Closed(chat_id, CloseReason.EXPIRED)),
        lambda world, chat_id: world.inject("app-0", "node-0", Delete(chat_id, failed=True)),
    ],
)
def test_end_in_the_middle_of_a_rekey(end: Callable[[HonestWorld, ChatId], None]) -> None:
    for stage in range(12):
        world = HonestWorld()
        chat_id = world.open_chat()
        world.rekey(world.a, chat_id)
        for _ in range(stage):
            if queues := world.queues():
                world.deliver(*queues[0])
        end(world, chat_id)
        world.run()
        world.pass_time(1.0)
        assert_nothing_left(world) if not world.m.running.live_chats() else None
        assert not world.n.store.records


def test_unknown_chats_are_acknowledged_or_not_found() -> None:
    world = HonestWorld()
    unknown = ChatId(bytes(16))
    world.inject("node-1", "node-0", Closed(unknown, CloseReason.EXPIRED))
    world.inject("app-0", "node-0", Delete(unknown))
    world.run()
    assert world.messages("node-0", "node-1", ClosedAck) == [ClosedAck(unknown, CloseReason.EXPIRED)]
    assert [notice.code for notice in world.messages("node-0", "app-0", ErrorNotice)] == [ErrorCode.CHAT_NOT_FOUND]
    assert not world.n.store.tombstones


def test_a_pass_ends_a_bounded_number_of_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "MAX_CHATS_A_TIMER_PASS", 3)
    world = HonestWorld(params=ChatParams(idle_timeout_s=1000.0))
    for _ in range(8):
        world.open_chat()
    chats = world.n.running
    world.now += 5000.0
    left = [chats.live_chats()]
    for _ in range(4):
        due = chats.next_timer()
        if due is None or due > world.now:
            break
        chats.handle_timer(world.now)
        world.n.flush()
        left.append(chats.live_chats())
    assert left == [8, 5, 2, 0]


@pytest.mark.parametrize("nodes", [1, 2])
def test_apps_without_a_common_epoch_both_hear_that_the_ratchet_failed(nodes: int) -> None:
    """No rekey bridges it; the one that gets what it cannot open ends the chat, and says why."""
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    end_to_end, _ = _channels(world, "app-0", chat_id)
    held, (current, _) = end_to_end.epochs.current, end_to_end.epochs.snapshot()
    end_to_end.epochs.restore(replace(current, epoch=7), None)  # what no honest network brings about
    held.wipe()
    world.send(world.a, chat_id)
    world.pass_time(700.0)
    assert reasons(world) == [[CloseReason.RATCHET_FAILED]] * 2
    assert_nothing_left(world)
