"""Streams and nodes that go and come back: resume of every kind, rollback, quarantine, and the ways out of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatEnded, ChatResumed, FrameRefused, PathChanged
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import ChannelKind, ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import (
    Closed,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import encode_data
from hermes_core.ratchet.channel import ChannelParams
from hermes_core.relay.events import ChatQuarantined, ResumeRefused, SideResumed
from hermes_core.relay.neighbour import app_neighbour, node_neighbour
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld
from tests.model.parties import Store
from tests.model.seals import watch_seals
from tests.support.sessions import make_stream_keys


def talk(world: HonestWorld, chat_id: ChatId, count: int = 3) -> None:
    for _ in range(count):
        world.send(world.a, chat_id)
        world.send(world.b, chat_id)
        world.run()
    ledger = world.ledger.chats[chat_id]
    assert ledger.acked.get("app-0", 0) == len(ledger.sent["app-0"])
    assert ledger.acked.get("app-1", 0) == len(ledger.sent["app-1"])


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("victim", [0, -1])
def test_messages_go_on_after_a_node_was_killed(nodes: int, victim: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    talk(world, chat_id)
    node = list(world.nodes.values())[victim]
    world.kill(node)
    world.run()
    world.send(world.a, chat_id)
    world.send(world.b, chat_id)
    world.revive(node)
    talk(world, chat_id, 300)
    for app in world.apps.values():
        assert world.events_of(app, ChatResumed) or app.home != node.name
        assert not world.events_of(app, ChatEnded)
    kinds = {event.kind for event in world.events_of(node, SideResumed)}
    assert kinds == ({ChannelKind.LEG, ChannelKind.TIELINE} if nodes == 2 else {ChannelKind.LEG})


def test_everybody_is_killed_at_once() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    world.send(world.a, chat_id)
    for node in world.nodes.values():
        world.kill(node)
    world.run()
    for node in world.nodes.values():
        node.start(world.now)
    world.reconnect()
    talk(world, chat_id)


@pytest.mark.parametrize("stage", range(18))
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("committed", [False, True])
def test_node_is_killed_at_any_point_of_a_rekey(stage: int, victim: int, committed: bool) -> None:
    """The hops may end in different epochs; the chat goes on, and the next rekey works."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id, 1)
    world.rekey(world.a, chat_id)
    for _ in range(stage):
        if queues := world.queues():
            world.deliver(*queues[0])
    node = list(world.nodes.values())[victim]
    queues = [(stream, end) for stream, end in world.queues() if end == node.name]
    if queues and committed:  # one more input is stored, what it led to is not sent
        stream, end = queues[0]
        world.group_commit = 2.0
        world.deliver(stream, end)
        node.flush(sends=0)
        world.group_commit = -1.0
    world.kill(node)
    world.run()
    world.revive(node)
    world.pass_time(90.0)
    talk(world, chat_id)
    world.rekey(world.b, chat_id)
    world.run()
    talk(world, chat_id)
    for app in world.apps.values():
        assert not world.events_of(app, ChatEnded)
        assert app.machine.chats[chat_id].end_to_end.epoch == 3


def test_hops_that_were_left_in_different_epochs_resume_each_in_its_own() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not world.stream("app-1", "node-1").inbox["node-1"]:
        world.deliver(*world.queues()[0])
    world.step("app-1", "node-1")  # node-1 completes its leg; the answer to node-0 is lost
    world.step("node-1", "app-1")
    world.cut("node-0", "node-1")
    world.run()
    hops = world.chat_of(world.m, chat_id).hops
    assert [hop.channel.epoch for hop in hops] == [1, 2]
    world.kill(world.m)
    world.run()
    world.revive(world.m)
    talk(world, chat_id)
    assert world.a.machine.chats[chat_id].end_to_end.epoch == 2, "the rekey was made again by itself"
    assert [hop.channel.epoch for hop in world.chat_of(world.m, chat_id).hops] == [2, 3]


def test_app_comes_back_on_a_new_stream_before_the_node_noticed() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    stream = world.stream("app-0", "node-0")
    stream.break_off(None)
    world.deliver(stream, "app-0")
    world.send(world.b, chat_id)
    world.reconnect()
    talk(world, chat_id)


def test_nothing_is_sent_before_the_resume_is_complete() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.b, chat_id)
    world.cut("app-0", "node-0")
    world.run()
    world.connect_app(world.a)
    assert world.step("node-0", "app-0") == PathState(chat_id, up=False)
    assert not world.stream("app-0", "node-0").inbox["app-0"]
    assert isinstance(world.step("app-0", "node-0"), Resume)
    world.run()
    messages = [type(message) for sender, receiver, message in world.seen if (sender, receiver) == ("node-0", "app-0")]
    resumed = len(messages) - 1 - messages[::-1].index(Resume)
    assert Sealed in messages[resumed:]
    assert world.ledger.chats[chat_id].received == {"app-0": 1}


def test_frames_before_the_resume_are_refused() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    frame = world.seal_as_app(world.a, chat_id, encode_data(1, bytes(64)))
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    world.inject("app-0", "node-0", frame)
    world.run()
    assert [notice.code for notice in world.messages("node-0", "app-0", ErrorNotice)] == [ErrorCode.CHAT_NOT_READY]
    talk(world, chat_id)


def test_recorded_resume_is_worthless() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.reconnect()
    recorded = world.messages("app-0", "node-0", Resume)[-1]
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    world.stream("app-0", "node-0").inbox["node-0"].clear()
    world.inject("app-0", "node-0", recorded)
    assert world.events_of(world.n, ResumeRefused)[-1].code is ErrorCode.AUTH_FAILED
    assert not world.chat_of(world.n, chat_id).hops[0].state.ready
    assert world.chat_of(world.n, chat_id).state is ChatState.ACTIVE
    world.pass_time(11.0)  # the app asks again
    talk(world, chat_id)


def test_resume_of_a_ready_leg_changes_nothing() -> None:
    """An old resume of this very stream, replayed after a rekey, must not take the leg back."""
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.reconnect()
    old = world.messages("app-0", "node-0", Resume)[-1]
    world.rekey(world.a, chat_id)
    world.run()
    world.inject("app-0", "node-0", old)
    world.run()
    assert world.chat_of(world.n, chat_id).hops[0].channel.epoch == 2
    talk(world, chat_id)


def test_second_answer_to_a_resume_changes_nothing() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.reconnect()
    old = world.messages("node-0", "app-0", Resume)[-1]
    world.rekey(world.b, chat_id)
    world.run()
    world.inject("node-0", "app-0", old)
    world.run()
    assert len(world.events_of(world.a, ChatResumed)) == 1
    assert world.a.machine.chats[chat_id].leg.epoch == 2
    talk(world, chat_id)


def test_what_an_app_had_not_sent_does_not_reach_a_new_stream() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    machine = world.a.machine
    machine.send(chat_id, b"x", world.now)
    machine.disconnected(world.now)
    machine.connected(world.n.node_id, world.n.identity.public_key, make_stream_keys(bytes(32), dialled=True), world.now)
    assert [type(message) for message in machine.take_output().sends] == [Resume]


def test_answer_to_a_resume_that_was_lost() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    world.step("app-0", "node-0")
    world.stream("app-0", "node-0").inbox["app-0"].clear()
    world.run()
    world.send(world.b, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {}
    world.cut("node-0", "node-1")
    world.reconnect()
    world.pass_time(11.0)
    talk(world, chat_id)


def expect_cured(world: HonestWorld, chat_id: ChatId) -> None:
    """By new keys, without an end for anybody."""
    world.reconnect()
    world.pass_time(60.0)
    talk(world, chat_id)
    for app in world.apps.values():
        assert not world.events_of(app, ChatEnded)
    for node in world.nodes.values():
        assert world.chat_of(node, chat_id).state is ChatState.ACTIVE


def test_a_leg_whose_ends_share_no_epoch_begins_anew() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    resume = world.stream("app-0", "node-0").inbox["node-0"].popleft()
    assert isinstance(resume, Resume)
    claim = dataclasses.replace(resume.claims[0], transcript_hash=bytes(32))
    with watch_seals(world.ledger):
        world.inject("app-0", "node-0", Resume(chat_id, (claim,)))
        world.run()
        assert world.events_of(world.n, ResumeRefused)[-1].code is ErrorCode.RATCHET_DESYNC
        expect_cured(world, chat_id)
    assert world.a.machine.chats[chat_id].leg.epoch == world.chat_of(world.n, chat_id).hops[0].channel.epoch == 1
    assert world.a.machine.chats[chat_id].end_to_end.epoch == 2


def test_app_that_lost_its_chats_ends_them_for_everybody() -> None:
    world = HonestWorld()
    world.open_chat()
    world.crash_app(world.a)
    world.reconnect()
    assert [event.reason for event in world.events_of(world.b, ChatEnded)] == [CloseReason.RATCHET_FAILED], "nobody deleted it"
    assert [delete.failed for delete in world.messages("app-0", "node-0", Delete)] == [True]
    assert not world.n.store.records
    assert not world.m.store.records


@pytest.mark.parametrize("lost", ["node-0", "node-1"])
def test_node_that_lost_its_chats_gets_them_back_from_its_apps(lost: str) -> None:
    """Each moves its side to the same node; on the way there it is no more than a path that is down."""
    world = HonestWorld()
    with watch_seals(world.ledger):
        chat_id = world.open_chat()
        node = world.nodes[lost]
        world.kill(node)
        world.run()
        node.store = Store()
        world.revive(node)
        world.pass_time(10.0)
        for app in world.apps.values():
            assert not world.events_of(app, ChatEnded)
            world.send(app, chat_id)
            world.run()
    assert [world.ledger.chats[chat_id].received[name] for name in world.apps] == [1, 1]


@pytest.mark.parametrize("index", [0, 1])
def test_another_key_under_a_node_s_name_has_no_say_in_its_chats(index: int) -> None:
    """Neither the app at home there nor the other node: until the real one is back, their path is down and nothing ends."""
    world = HonestWorld()
    chat_id = world.open_chat()
    node = list(world.nodes.values())[index]
    identity, store = node.identity, node.store
    world.kill(node)
    world.run()
    node.identity, node.store = Identity.generate(), Store()
    world.revive(node)
    other = next(each for each in world.nodes.values() if each is not node)
    stranger = node_neighbour(node.node_id)
    for message in (
        Closed(chat_id, CloseReason.DELETED),
        ErrorNotice(ErrorCode.CHAT_NOT_FOUND, ErrorScope.CHAT, chat_id, "", 0),
        PathState(chat_id, up=True),
        Reject(chat_id, ErrorCode.RATCHET_FAILED),
    ):
        other.running.receive(stranger, message, world.now)
        other.flush()
    world.run()
    for app in world.apps.values():
        assert not world.events_of(app, ChatEnded)
        assert not app.machine.chats[chat_id].can_send
    assert world.open_chat()  # a new one is possible with whoever is there now

    world.kill(node)
    world.run()
    node.identity, node.store = identity, store
    world.revive(node)
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received["app-1"] == 1


# rollback


def roll_back(world: HonestWorld, node: Any, store: Store, *, witness: bool = False) -> None:
    world.kill(node)
    world.run()
    node.store = store
    node.start(world.now)
    if witness:
        node.machine.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
        node.flush()
    world.reconnect()


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("victim", [0, -1])
@pytest.mark.parametrize("witness", [False, True])
def test_rolled_back_store_is_noticed_and_healed_by_a_rekey(nodes: int, victim: int, witness: bool) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    talk(world, chat_id)
    node = list(world.nodes.values())[victim]
    old = node.store.copy()
    talk(world, chat_id, 400)
    roll_back(world, node, old, witness=witness)
    assert world.events_of(node, ChatQuarantined) == [ChatQuarantined(chat_id)]
    world.pass_time(60.0)
    talk(world, chat_id)
    for app in world.apps.values():
        assert app.machine.chats[chat_id].end_to_end.epoch == 2
        assert not world.events_of(app, ChatEnded)
    for party in world.nodes.values():
        assert world.chat_of(party, chat_id).state is ChatState.ACTIVE


def test_a_cure_comes_soon_after_an_app_that_was_away_is_back() -> None:
    """However long it was: nobody tells the other one when, so that it asks again and again, and not ever more rarely."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    world.cut("app-1", "node-1")
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    world.run()
    world.pass_time(1175.0)
    world.connect_app(world.b)
    world.run()
    world.pass_time(21.0)
    talk(world, chat_id)


def test_quarantined_chat_lets_nothing_through() -> None:
    world = HonestWorld(params=ChatParams(rekey_burst=1, rekey_refill_s=3600.0))
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)  # uses up what the throttle allows at node-1
    world.run()
    talk(world, chat_id)
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    assert world.events_of(world.n, ChatQuarantined) == [ChatQuarantined(chat_id)]
    world.run()
    frame = world.seal_as_app(world.a, chat_id, encode_data(9, bytes(64)))
    before = len(world.messages("node-0", "node-1", Sealed))
    world.inject("app-0", "node-0", frame)
    world.run()
    notice = world.messages("node-0", "app-0", ErrorNotice)[-2:]
    assert (notice[0].code, notice[0].scope) == (ErrorCode.ROLLBACK_DETECTED, ErrorScope.FRAME)
    assert len(world.messages("node-0", "node-1", Sealed)) == before
    assert world.events_of(world.a, PathChanged)[-1] == PathChanged(chat_id, up=False)
    world.kill(world.n)
    world.run()
    world.revive(world.n)
    assert world.chat_of(world.n, chat_id).state is ChatState.QUARANTINED, "a restart does not lift it"
    assert not world.chat_of(world.n, chat_id).hops[0].state.ready
    world.delete(world.a, chat_id)
    world.run()
    assert [event.reason for event in world.events_of(world.b, ChatEnded)] == [CloseReason.DELETED_BY_PEER]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("witness", [False, True])
@pytest.mark.parametrize("rekeys", [1, 3])
def test_hops_begin_anew_after_a_rollback_past_rekeys(nodes: int, witness: bool, rekeys: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    talk(world, chat_id)
    node = list(world.nodes.values())[-1]
    old = node.store.copy()
    for _ in range(rekeys):
        world.rekey(world.a, chat_id)
        world.run()
        talk(world, chat_id)
    with watch_seals(world.ledger):
        roll_back(world, node, old, witness=witness)
        expect_cured(world, chat_id)
    assert [hop.channel.epoch for hop in world.chat_of(node, chat_id).hops] == [1, 1]
    assert {app.machine.chats[chat_id].end_to_end.epoch for app in world.apps.values()} == {rekeys + 2}


def test_a_hop_begins_anew_after_a_rollback_to_before_a_clock_was_ahead() -> None:
    """Orders follow the clock: what the node offers now is below what its neighbours have answered."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    old = world.n.store.copy()
    world.kill(world.n)
    world.n.start(world.now, wall_s=world.now + 31 * 86_400.0)
    world.reconnect()
    for app in (world.a, world.b) * 2:  # either way, which the node passes on by an offer of its own
        world.rekey(app, chat_id)
        world.run()
    talk(world, chat_id)
    with watch_seals(world.ledger):
        roll_back(world, world.n, old)
        expect_cured(world, chat_id)


@pytest.mark.parametrize("stage", range(24))
@pytest.mark.parametrize("victim", [0, -1])
def test_a_node_that_dies_while_hops_begin_anew(stage: int, victim: int) -> None:
    """Whatever had been stored by then, of the keys that went and of those that came."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    old = world.m.store.copy()
    world.rekey(world.a, chat_id)
    world.run()
    talk(world, chat_id)
    world.kill(world.m)
    world.run()
    world.m.store = old
    world.m.start(world.now)
    with watch_seals(world.ledger):
        world.connect_app(world.b)
        world.connect_nodes()
        for _ in range(stage):
            if queues := world.queues():
                world.deliver(*queues[0])
        node = list(world.nodes.values())[victim]
        world.kill(node)
        world.run()
        world.revive(node)
        expect_cured(world, chat_id)


def test_rolled_back_into_a_pending_epoch() -> None:
    """The peer has left the epoch that is pending here: its hop begins anew."""
    world = HonestWorld()
    chat_id = world.open_chat()
    world.rekey(world.a, chat_id)
    while not (world.messages("node-0", "node-1", Offer)[1:] and world.messages("node-1", "node-0", Resume) is not None):
        world.deliver(*world.queues()[0])
    while not world.stream("node-0", "node-1").inbox["node-0"]:
        world.deliver(*world.queues()[0])
    old = world.m.store.copy()
    world.run()
    talk(world, chat_id, 5)
    with watch_seals(world.ledger):
        roll_back(world, world.m, old)
        expect_cured(world, chat_id)


def test_rollback_found_on_the_tieline_is_told_to_an_app_that_had_resumed() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    old = world.m.store.copy()
    talk(world, chat_id, 400)
    world.kill(world.m)
    world.run()
    world.m.store = old
    world.m.start(world.now)
    world.connect_nodes()
    world.run()
    assert world.events_of(world.n, ChatQuarantined) == [ChatQuarantined(chat_id)]
    notice = world.messages("node-0", "app-0", ErrorNotice)[-1]
    assert (notice.code, notice.scope, notice.chat_id) == (ErrorCode.ROLLBACK_DETECTED, ErrorScope.CHAT, chat_id)
    world.reconnect()
    world.pass_time(60.0)
    talk(world, chat_id)


@pytest.mark.parametrize("away", ["nobody", "app-0", "app-1", "node-0"])
def test_one_app_that_is_asked_for_new_keys_cures_both_sides(away: str) -> None:
    """A node that hears of the other's rollback quarantines nothing of its own: the app over there is asked, whenever it comes.

    A rekey takes both apps anyway, so that a second one to ask would cure nothing that the first does not.
    """
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    if away == "node-0":
        world.kill(world.n)
    elif away != "nobody":
        world.cut(away, away.replace("app", "node"))
    world.run()
    world.m.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.m.flush()
    with watch_seals(world.ledger):
        if away != "node-0":
            world.cut("node-0", "node-1")  # the other node claims again, and hears why that leads nowhere
            world.connect_nodes()
        world.pass_time(300.0)
        assert (world.chat_of(world.m, chat_id).state is ChatState.ACTIVE) == (away == "nobody")
        if away == "node-0":
            world.n.start(world.now)
            world.connect_nodes()
        if away in {"node-0", "app-0"}:
            world.connect_app(world.a)
        elif away == "app-1":
            world.connect_app(world.b)
        world.spread_directory()
        world.pass_time(30.0)
        talk(world, chat_id)
    assert not world.events_of(world.n, ChatQuarantined)
    assert {world.chat_of(node, chat_id).state for node in world.nodes.values()} == {ChatState.ACTIVE}
    assert {app.machine.chats[chat_id].end_to_end.epoch for app in world.apps.values()} == {2}, "one rekey, for all"


@pytest.mark.parametrize("stage", range(24))
@pytest.mark.parametrize("cut", [("app-0", "node-0"), ("node-0", "node-1"), ("app-1", "node-1")])
def test_curing_rekey_that_is_interrupted_is_made_again(stage: int, cut: tuple[str, str]) -> None:
    """One side may have new keys already, the other not; the apps must hear that it takes another rekey."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    old = world.n.store.copy()
    talk(world, chat_id, 300)
    world.kill(world.n)
    world.run()
    world.n.store = old
    world.n.start(world.now)
    world.connect_app(world.a)
    world.connect_nodes()
    for _ in range(stage):
        if queues := world.queues():
            world.deliver(*queues[0])
    world.cut(*cut)
    world.reconnect()
    world.pass_time(120.0)
    talk(world, chat_id)
    for node in world.nodes.values():
        assert world.chat_of(node, chat_id).state is ChatState.ACTIVE


@pytest.mark.parametrize("stage", range(10, 24))
def test_rollback_right_after_a_rekey_whose_confirmation_was_lost(stage: int) -> None:
    """The apps' epochs differ until the confirmation gets through the quarantined chat; only then can a rekey cure it."""
    world = HonestWorld()
    chat_id = world.open_chat()
    talk(world, chat_id)
    world.rekey(world.b, chat_id)
    for _ in range(stage):
        if queues := world.queues():
            world.deliver(*queues[0])
    old = world.n.store.copy()
    roll_back(world, world.n, old, witness=True)
    world.pass_time(120.0)
    for app in world.apps.values():
        assert not world.events_of(app, ChatEnded)
    talk(world, chat_id)
    for node in world.nodes.values():
        assert world.chat_of(node, chat_id).state is ChatState.ACTIVE


@pytest.mark.parametrize("witness", [False, True])
@pytest.mark.parametrize("rekeys", [0, 2])
@pytest.mark.parametrize("home", ["node-0", "node-1"], ids=["of the app that offers", "of the app that answers"])
def test_rolled_back_into_the_first_handshake(home: str, witness: bool, rekeys: int) -> None:
    """What is stored waits for its confirmation, and for a while of its own; the apps have long been at home in the chat.

    The answering app's home has no epoch of the tieline to claim: it says so all the same.
    """
    world = HonestWorld()
    node = world.nodes[home]
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    while not node.store.records:
        if queues := world.queues():
            world.deliver(*queues[0])
        else:
            world.decide(world.b, accept=True)
    old = node.store.copy()
    world.run()
    talk(world, chat_id)
    for _ in range(rekeys):
        world.rekey(world.b, chat_id)
        world.run()
    world.pass_time(3600.0)
    with watch_seals(world.ledger):
        roll_back(world, node, old, witness=witness)
        expect_cured(world, chat_id)


def test_deleted_chat_that_a_rollback_brought_back() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    old = world.n.store.copy()
    world.delete(world.a, chat_id)
    world.run()
    roll_back(world, world.n, old)
    assert not world.n.store.records
    assert not world.n.store.tombstones
    assert len(world.events_of(world.a, ChatEnded)) == 1
    assert len(world.events_of(world.b, ChatEnded)) == 1


def test_many_chats_resume_in_turns() -> None:
    world = HonestWorld(params=ChatParams(resume_batch=3))
    chats = [world.open_chat() for _ in range(10)]
    world.cut("node-0", "node-1")
    world.run()
    world.connect_nodes()
    assert len(world.stream("node-0", "node-1").inbox["node-1"]) == 3
    world.pass_time(1.0)
    for chat_id in chats:
        talk(world, chat_id, 1)


def test_stale_output_does_not_reach_a_new_stream() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    machine = world.n.running
    world.send(world.b, chat_id)
    world.step("app-1", "node-1")
    stream = world.stream("node-0", "node-1")
    message = stream.inbox["node-0"].popleft()
    machine.receive(node_neighbour(world.m.node_id), message, world.now)  # type: ignore[arg-type]
    machine.disconnected(app_neighbour(world.a.app_id), world.now)
    machine.connected(
        app_neighbour(world.a.app_id), 999, world.a.identity.public_key, make_stream_keys(bytes(32), dialled=True), world.now
    )
    new = [type(send.message) for send in machine.take_output().sends if send.stream == 999]
    assert new
    assert Sealed not in new


def test_strict_window_stores_every_position_before_it_is_used() -> None:
    world = HonestWorld(params=ChatParams(channel=ChannelParams(window=1)))
    chat_id = world.open_chat()
    for _ in range(5):
        before = len(world.n.history)
        world.send(world.a, chat_id)
        world.run(take=False)
        assert len(world.n.history) == before + 1
    world.kill(world.n)
    world.run()
    world.revive(world.n)
    talk(world, chat_id)


def test_few_commits_for_many_messages() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    before = world.n.commits
    for _ in range(1000):
        world.send(world.a, chat_id)
        world.run()
    assert world.n.commits - before <= 20, "one commit a window and direction when every output is committed alone"


def test_garbage_resume_of_the_node_is_ignored() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    world.step("node-0", "app-0")
    world.step("app-0", "node-0")
    answer = world.stream("app-0", "node-0").inbox["app-0"].popleft()
    assert isinstance(answer, Resume)
    claim = dataclasses.replace(answer.claims[0], send_next=answer.claims[0].send_next + 1)
    world.inject("node-0", "app-0", Resume(chat_id, (claim,)))
    assert world.events_of(world.a, FrameRefused)[-1].code is ErrorCode.AUTH_FAILED
    world.inject("node-0", "app-0", answer)
    world.run()
    talk(world, chat_id)
    assert not world.messages("app-0", "node-0", Confirm)[2:]
    assert not world.messages("node-0", "app-0", Closed)
