"""Frames of an open chat: order, windows, backpressure, paths that come and go, and everything that is refused."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.events import FrameRefused, MessageReceived, MessagesAcked, PathChanged
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.protocol.messages import ErrorNotice, PathState, Sealed
from hermes_core.protocol.payload import encode_ack, encode_data
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld

JUNK = bytes(64)
"""Long enough for an end-to-end frame."""


def notices(world: HonestWorld, node: str, app: str) -> list[tuple[ErrorCode, ErrorScope]]:
    return [(notice.code, notice.scope) for notice in world.messages(node, app, ErrorNotice)]


@pytest.mark.parametrize("nodes", [1, 2])
def test_both_ways_in_order(nodes: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    for number in range(300):
        world.send(world.a if number % 3 else world.b, chat_id, size=number)
        if number % 50 == 49:
            world.run()
    world.run()
    ledger = world.ledger.chats[chat_id]
    assert ledger.received == {"app-0": 100, "app-1": 200}
    assert ledger.acked == {"app-0": 200, "app-1": 100}
    assert not any(notices(world, node, app) for node, app in (("node-0", "app-0"), (world.m.name, "app-1")))


def test_content_of_every_allowed_size() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for content in (b"", b"x", bytes(64 * 1024)):
        world.ledger.record_sent("app-0", chat_id, world.a.machine.send(chat_id, content, world.now), content)
    world.a.collect()
    world.run()
    assert [event.content for event in world.events_of(world.b, MessageReceived)] == [b"", b"x", bytes(64 * 1024)]


def test_window_of_the_app_and_of_the_node() -> None:
    world = HonestWorld(params=ChatParams(window_messages=4), app_params=AppParams(window_messages=5))
    chat_id = world.open_chat()
    for _ in range(5):
        world.ledger.record_sent("app-0", chat_id, world.a.machine.send(chat_id, b"x", world.now), b"x")
    with pytest.raises(ProtocolError) as caught:
        world.a.machine.send(chat_id, b"x", world.now)
    assert caught.value.code is ErrorCode.BACKPRESSURE
    world.a.collect()
    world.run(take=False)
    assert notices(world, "node-0", "app-0") == [(ErrorCode.BACKPRESSURE, ErrorScope.FRAME)]
    assert world.ledger.chats[chat_id].received == {"app-1": 4}
    world.run()
    world.pass_time(6.0)  # what was refused is sent again
    assert world.ledger.chats[chat_id].received == {"app-1": 5}
    assert world.ledger.chats[chat_id].acked == {"app-0": 5}


def test_acknowledgements_are_cumulative_and_coalesced() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for _ in range(50):
        world.send(world.a, chat_id)
    world.run(take=False)
    assert not world.events_of(world.a, MessagesAcked)
    before = len(world.messages("app-1", "node-1", Sealed))
    for seq in range(1, 51):
        world.ledger.chats[chat_id].taken["app-1"] = seq
        world.b.machine.acknowledge(chat_id, seq, world.now)
    world.b.collect()
    world.run()
    assert world.events_of(world.a, MessagesAcked) == [MessagesAcked(chat_id, 50)]
    assert len(world.messages("app-1", "node-1", Sealed)) == before + 1


def test_frames_for_a_path_that_is_down_are_dropped_and_sent_again() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.cut("app-1", "node-1")
    world.run()
    assert [event.up for event in world.events_of(world.a, PathChanged)] == [True, False]
    for _ in range(10):
        world.send(world.a, chat_id)
    world.run()
    assert not world.messages("app-0", "node-0", Sealed), "an app that knows does not send"
    world.reconnect()
    assert world.ledger.chats[chat_id].received == {"app-1": 10}
    assert world.events_of(world.a, PathChanged)[-1] == PathChanged(chat_id, up=True)


def test_frames_under_way_when_the_path_goes_down() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for _ in range(5):
        world.send(world.a, chat_id)
    stream = world.stream("app-1", "node-1")
    stream.break_off(None)
    world.deliver(stream, "node-1")
    world.deliver(stream, "app-1")
    world.run()
    for sender, receiver in (("node-1", "node-0"), ("node-0", "app-0")):
        paths = world.messages(sender, receiver, PathState)
        assert paths == [PathState(chat_id, up=False)], "told once, however many frames were dropped"
    assert world.ledger.chats[chat_id].received == {}
    world.reconnect()
    assert world.ledger.chats[chat_id].received == {"app-1": 5}


def test_a_path_that_a_node_says_again_is_up_is_told_on() -> None:
    """What it dropped while it was not is sent again only so: it never said that it was down."""
    world = HonestWorld()
    chat_id = world.open_chat()
    world.run()
    assert not world.messages("node-0", "app-0", PathState)
    world.inject("node-1", "node-0", PathState(chat_id, up=True))
    world.run()
    assert world.messages("node-0", "app-0", PathState) == [PathState(chat_id, up=True)]


def test_broken_frames_change_nothing() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.run()
    frame = world.messages("app-0", "node-0", Sealed)[-1].frame
    side = world.chat_of(world.n, chat_id).hops[0].channel
    state = (side.recv_next, side.recv_reserved, side.epoch)
    bad = {
        "replayed": (frame, ErrorCode.REPLAYED_FRAME),
        "next position": (frame[:23] + side.recv_next.to_bytes(8, "big") + frame[31:], ErrorCode.AUTH_FAILED),
        "future epoch": (frame[:18] + (7).to_bytes(4, "big") + frame[22:], ErrorCode.KEY_VERSION_MISMATCH),
        "other direction": (frame[:22] + b"\x01" + frame[23:], ErrorCode.INVALID_FRAME),
        "tieline": (frame[:1] + b"\x03" + frame[2:], ErrorCode.INVALID_FRAME),
    }
    for what, (forged, code) in bad.items():
        world.inject("app-0", "node-0", Sealed(forged))
        assert not world.n.events or world.n.events[-1].code is code, what  # type: ignore[union-attr]
        assert (side.recv_next, side.recv_reserved, side.epoch) == state, what
    world.run()
    assert notices(world, "node-0", "app-0") == [(code, ErrorScope.FRAME) for _, code in bad.values()]
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 2}


@pytest.mark.parametrize(("sender", "receiver"), [("app-0", "node-0"), ("node-0", "app-0"), ("node-0", "node-1")])
@pytest.mark.parametrize("ahead", [1, 10**6])
def test_a_position_ahead_ends_the_stream_and_nothing_else(sender: str, receiver: str, ahead: int) -> None:
    """Nothing that still comes on that stream could be opened; a resume puts both ends in step."""
    world = HonestWorld()
    chat_id = world.open_chat()
    for app in (world.a, world.b):
        world.send(app, chat_id)
        world.run()
    frame = world.messages(sender, receiver, Sealed)[-1].frame
    position = int.from_bytes(frame[23:31], "big") + 1 + ahead
    told = len(world.messages(receiver, sender, ErrorNotice))
    world.inject(sender, receiver, Sealed(frame[:23] + position.to_bytes(8, "big") + frame[31:]))
    assert world.hang_ups == 1
    world.reconnect()
    assert len(world.messages(receiver, sender, ErrorNotice)) == told
    for app in (world.a, world.b):
        world.send(app, chat_id)
        world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 2, "app-0": 2}
    assert world.hang_ups == 1


def test_broken_frames_towards_an_app_change_nothing() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.run()
    frame = world.messages("node-1", "app-1", Sealed)[-1].frame
    for forged in (frame, frame[:-1] + bytes([frame[-1] ^ 1]), frame[:2] + bytes(16) + frame[18:]):
        world.inject("node-1", "app-1", Sealed(forged))
    assert [event.code for event in world.events_of(world.b, FrameRefused)] == [
        ErrorCode.REPLAYED_FRAME,
        ErrorCode.REPLAYED_FRAME,
        ErrorCode.CHAT_NOT_FOUND,
    ]
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 2}


def test_authentic_nonsense_of_a_party_is_refused() -> None:
    world = HonestWorld(params=ChatParams(window_messages=4))
    chat_id = world.open_chat()
    for payload, code in (
        (b"\x09" + bytes(60), ErrorCode.INVALID_FRAME),
        (encode_data(0, JUNK), ErrorCode.INVALID_FRAME),
        (encode_data(5, JUNK), ErrorCode.BACKPRESSURE),
    ):
        world.inject("app-0", "node-0", world.seal_as_app(world.a, chat_id, payload))
        world.run()
        assert notices(world, "node-0", "app-0")[-1] == (code, ErrorScope.FRAME)
    world.inject("app-0", "node-0", world.seal_as_app(world.a, chat_id, encode_data(4, JUNK)))
    world.inject("app-0", "node-0", world.seal_as_app(world.a, chat_id, encode_ack(0, 1, bytes(16))))
    world.run()
    assert len(notices(world, "node-0", "app-0")) == 3
    for _ in range(4):
        world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 4}, "what a node made up for seq 4 gave way to the real one"


def test_window_holds_after_a_restart_that_forgot_acknowledgements() -> None:
    world = HonestWorld(nodes=1, params=ChatParams(window_messages=4), app_params=AppParams(window_messages=4))
    chat_id = world.open_chat()
    for _ in range(20):
        world.send(world.a, chat_id)
        world.run()
    world.kill(world.n)
    world.run()
    world.n.start(world.now)
    assert world.chat_of(world.n, chat_id).hops[1].acked < 20, "the record was not written for every acknowledgement"
    world.reconnect()
    world.send(world.a, chat_id)
    world.run(take=False)
    assert world.ledger.chats[chat_id].received == {"app-1": 21}, "what the app sends first shows where its window begins"
    world.inject("app-0", "node-0", world.seal_as_app(world.a, chat_id, encode_data(25, JUNK)))
    world.run(take=False)
    assert notices(world, "node-0", "app-0") == [(ErrorCode.BACKPRESSURE, ErrorScope.FRAME)]


def test_nodes_cannot_forge_acknowledgements() -> None:
    world = HonestWorld(nodes=1)
    chat_id = world.open_chat()
    for _ in range(3):
        world.send(world.a, chat_id)
    world.run(take=False)
    world.chat_of(world.n, chat_id).hops[0].relay(encode_ack(3, 1, bytes(16)), world.now)
    world.n.flush()
    world.run(take=False)
    assert world.events_of(world.a, FrameRefused)[-1].code is ErrorCode.AUTH_FAILED
    assert not world.events_of(world.a, MessagesAcked)
    assert len(world.a.machine.chats[chat_id].transfer.outgoing) == 3


def test_one_full_chat_does_not_stall_another() -> None:
    world = HonestWorld(params=ChatParams(window_messages=4), app_params=AppParams(window_messages=4))
    slow, quick = world.open_chat(), world.open_chat()
    for _ in range(4):
        world.send(world.a, slow)
    for _ in range(5):
        world.send(world.a, quick)
        world.run(take=False)
        world.take(world.b, quick, world.ledger.chats[quick].received["app-1"])
        world.run(take=False)
    assert world.ledger.chats[quick].acked == {"app-0": 5}
    assert world.ledger.chats[slow].received == {"app-1": 4}
    assert world.ledger.chats[slow].acked == {}


def test_lost_acknowledgement_is_sent_again() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.run(take=False)
    world.take(world.b, chat_id, 1)
    world.cut("app-1", "node-1")
    world.run()
    assert not world.events_of(world.a, MessagesAcked)
    world.reconnect()
    assert world.events_of(world.a, MessagesAcked) == [MessagesAcked(chat_id, 1)]
    assert world.ledger.chats[chat_id].received == {"app-1": 1}


def test_retransmissions_back_off_and_stop() -> None:
    world = HonestWorld(app_params=AppParams(retransmit_s=1.0, retransmit_max_s=8.0))
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.run(take=False)
    before = len(world.messages("app-0", "node-0", Sealed))
    for _ in range(200):
        world.advance(0.5)
        world.run(take=False)
    sent = len(world.messages("app-0", "node-0", Sealed)) - before
    assert 10 <= sent <= 16, "after 1, 2, 4, then every 8 seconds"
    world.run()
    before = len(world.messages("app-0", "node-0", Sealed))
    world.pass_time(100.0)
    assert len(world.messages("app-0", "node-0", Sealed)) == before, "nothing is sent for an acknowledged chat"


def test_messages_after_one_that_was_dropped_are_held_back() -> None:
    """A node drops what comes while its path is down; what follows once it is up is ahead of what is sent again."""
    world = HonestWorld(nodes=1)
    chat_id = world.open_chat()
    contents = [b"%d" % number for number in range(4)]

    def send(content: bytes) -> None:
        world.ledger.record_sent("app-0", chat_id, world.a.machine.send(chat_id, content, world.now), content)
        world.a.collect()
        assert isinstance(world.step("app-0", "node-0"), Sealed)

    world.cut("app-1", "node-0")
    send(contents[0])
    world.connect_app(world.b)
    stream = world.stream("app-1", "node-0")
    while any(stream.inbox.values()):
        world.deliver(stream, next(end for end in stream.ends if stream.inbox[end]))
    for content in contents[1:]:
        send(content)
        world.step("node-0", "app-1")
    assert world.ledger.chats[chat_id].received == {}
    assert sorted(world.b.machine.chats[chat_id].transfer.incoming._held) == [2, 3, 4]
    world.run()
    assert [event.content for event in world.events_of(world.b, MessageReceived)] == contents


def test_idle_chats_drop_keys_derived_ahead() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.pass_time(60.0)  # no timer of the handshake is left
    for _ in range(600):
        world.send(world.a, chat_id)
        world.run()
    channels = [world.chat_of(world.n, chat_id).hops[0].channel, world.a.machine.chats[chat_id].leg]
    assert all(channel.next_timer() is not None for channel in channels)
    world.pass_time(15.0)
    assert all(channel.next_timer() is None for channel in channels)
