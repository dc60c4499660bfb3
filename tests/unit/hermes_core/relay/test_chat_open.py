"""Opening chats through one node and through two: what flows, what is stored, who is refused and why."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatEnded, ChatFailed, ChatOffered, ChatReady
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, derive_app_id
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.protocol.messages import (
    Answer,
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
from hermes_core.relay.events import ChatOpened, HandshakeFailed
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.waiting_offers import RETRY_LATER_MS, WaitingOffers
from tests.model.honest import HonestWorld
from tests.support.sessions import make_stream_keys


@pytest.mark.parametrize(("nodes", "messages"), [(1, 9), (2, 14)])
def test_chat_opens(nodes: int, messages: int) -> None:
    world = HonestWorld(nodes=nodes)
    chat_id = world.open_chat()
    assert world.events_of(world.a, ChatReady) == [ChatReady(chat_id)]
    assert world.events_of(world.b, ChatReady) == [ChatReady(chat_id)]
    assert len(world.seen) == messages, "each further message costs every chat that is opened"
    scope = ChannelKind.TIELINE if nodes == 2 else ChannelKind.LEG
    for node in world.nodes.values():
        assert [event.scope for event in world.events_of(node, ChatOpened)] == [scope]
        record = parse_chat_record(node.store.records[chat_id])
        assert record.state is ChatState.ACTIVE
        assert record.app_ids == (world.a.app_id, world.b.app_id)
        assert record.end_to_end_epoch == 1
        record.wipe()
    assert world.n.running.live_chats() == 1
    assert world.n.running.live_tieline_chats() == nodes - 1


def test_record_is_durable_before_the_answer_leaves() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    for sender, receiver in (("app-0", "node-0"), ("node-0", "node-1"), ("node-1", "app-1")):
        assert isinstance(world.step(sender, receiver), Offer)
    assert not world.n.store.records, "an offer costs no write"
    assert not world.m.store.records
    world.decide(world.b, accept=True)
    world.m.running.receive(app_neighbour(world.b.app_id), world.stream("app-1", "node-1").inbox["node-1"].popleft(), world.now)  # type: ignore[arg-type]
    output = world.m.running.take_output()
    assert [type(send.message) for send in output.sends] == [Confirm, Answer]
    record = output.puts[chat_id]
    assert record.sides[0].pending is not None, "the responder's pending epoch goes with the answer"
    assert record.sides[1].current is not None, "the initiator's new epoch goes with the confirmation"
    assert record.state is ChatState.PENDING


def test_both_apps_may_send_as_soon_as_they_are_ready() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    sent = False
    while not sent:
        world.deliver(*world.queues()[0])
        if world.b.offers:
            world.decide(world.b, accept=True)
        if world.events_of(world.a, ChatReady):
            world.send(world.a, chat_id)
            sent = True
    world.run()
    world.send(world.b, chat_id)
    world.run()
    ledger = world.ledger.chats[chat_id]
    assert ledger.received == {"app-0": 1, "app-1": 1}
    assert not world.messages("node-0", "app-0", PathState), "an answer says itself that the path is up"


def test_rejection_leaves_nothing() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    world.run(accept=False)
    assert world.events_of(world.b, ChatOffered) == [ChatOffered(chat_id, world.a.app_id)]
    world.decide(world.b, accept=False)
    world.run()
    assert world.events_of(world.a, ChatFailed)[0].code is ErrorCode.LIMIT_EXCEEDED
    assert world.events_of(world.a, ChatEnded) == [ChatEnded(chat_id, CloseReason.ROUTE_UNAVAILABLE)]
    for node in world.nodes.values():
        assert not node.running.live_chats()
        assert not node.store.records
        assert not node.store.tombstones
        assert not node.running._admission.offers


def test_unanswered_offer_ends() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    world.run(accept=False)
    world.b.offers.clear()  # its owner never decides
    world.pass_time(31.0)
    assert [event.reason for event in world.events_of(world.a, ChatEnded)] == [CloseReason.ROUTE_UNAVAILABLE]
    assert [event.reason for event in world.events_of(world.b, ChatEnded)] == [CloseReason.ROUTE_UNAVAILABLE]
    assert not world.n.running.live_chats()
    assert not world.m.running.live_chats()


def test_unconfirmed_chat_ends_everywhere() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    while not isinstance(world.step(*_next(world)), Answer) or world.queues()[0][1] != "app-0":
        if world.b.offers:
            world.decide(world.b, accept=True)
    world.crash_app(world.a)
    world.run()
    assert world.chat_of(world.n, chat_id).state is ChatState.PENDING
    world.pass_time(31.0)
    assert [event.reason for event in world.events_of(world.b, ChatEnded)] == [CloseReason.EXPIRED]
    assert not world.n.store.records
    assert not world.m.store.records


def _next(world: HonestWorld) -> tuple[str, str]:
    stream, end = world.queues()[0]
    return stream.peer_of(end), end


def test_target_that_is_nowhere_or_away() -> None:
    world = HonestWorld()
    stranger = derive_app_id(Identity.generate().public_key)
    _expect_refusal(world, stranger, ErrorCode.TARGET_NOT_FOUND)
    world.cut("app-1", "node-1")
    world.n.directory[world.m] = [world.b]  # not known yet to be away
    world.n.hear_directory()
    _expect_refusal(world, world.b.app_id, ErrorCode.TARGET_OFFLINE)
    world.n.directory[world.m] = []
    world.n.hear_directory()
    _expect_refusal(world, world.b.app_id, ErrorCode.TARGET_OFFLINE)
    world.reconnect()
    world.cut("node-0", "node-1")
    _expect_refusal(world, world.b.app_id, ErrorCode.ROUTE_UNAVAILABLE)


def test_local_target_that_is_known_but_away() -> None:
    world = HonestWorld(nodes=1)
    world.open_chat()
    world.cut("app-1", "node-0")
    _expect_refusal(world, world.b.app_id, ErrorCode.TARGET_OFFLINE)


def _expect_refusal(world: HonestWorld, target: AppId, code: ErrorCode) -> None:
    before = world.n.running.live_chats()
    chat_id = world.a.machine.start_chat(target, world.now)
    from tests.model.parties import new_ledger

    new_ledger(world.ledger, chat_id, "app-0", "app-1")
    world.a.collect()
    world.run()
    failed = world.events_of(world.a, ChatFailed)[-1]
    assert (failed.chat_id, failed.code) == (chat_id, code)
    assert world.events_of(world.a, ChatEnded)[-1].chat_id == chat_id
    assert world.n.running.live_chats() == before


def test_draining_node_takes_no_new_chats_and_keeps_the_old() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    world.n.running.drain(world.now)
    _expect_refusal(world, world.b.app_id, ErrorCode.DRAINING)
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received["app-1"] == 1


@pytest.mark.parametrize("limit", ["max_chats", "max_chats_per_app"])
def test_chat_limits_at_the_bound(limit: str) -> None:
    world = HonestWorld(nodes=1, params=ChatParams(**{limit: 2}))  # type: ignore[arg-type]
    world.open_chat()
    world.open_chat()
    _expect_refusal(world, world.b.app_id, ErrorCode.LIMIT_EXCEEDED)
    assert not world.events_of(world.a, ChatFailed)[-1].retry_after_ms, "no time makes room"


@pytest.mark.parametrize("limit", ["max_chats", "max_chats_per_app"])
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_bound_that_offers_help_to_reach_says_when_to_try_again(limit: str, nodes: int) -> None:
    """Of many chats that are begun at once some come to nothing; once all that count are chats, no time makes room."""
    world = HonestWorld(nodes=nodes, params=ChatParams(**{limit: 2}))  # type: ignore[arg-type]
    world.open_chat()
    _start_unaccepted(world)
    for _ in range(2):
        _start_unaccepted(world)
        failed = world.events_of(world.a, ChatFailed)[-1]
        assert (failed.code, failed.retry_after_ms) == (ErrorCode.LIMIT_EXCEEDED, RETRY_LATER_MS)
    world.run()
    _start_unaccepted(world)
    failed = world.events_of(world.a, ChatFailed)[-1]
    assert (failed.code, failed.retry_after_ms) == (ErrorCode.LIMIT_EXCEEDED, 0)


def test_offers_of_others_do_not_free_a_place_of_an_app() -> None:
    offers, maker = WaitingOffers(4), (NodeId("node-9"), AppId("m" * 32))
    offers.add(maker, AppId("t" * 32), ChatId(bytes(16)))
    assert offers.has_of(AppId("t" * 32))
    assert offers.has_of(maker[1], maker)
    assert not offers.has_of(maker[1]), "what another node says it began is none of the app's here"
    assert not offers.has_of(AppId("o" * 32), (None, AppId("o" * 32)))
    offers.remove(maker, AppId("t" * 32), ChatId(bytes(16)))
    assert not offers
    assert not offers.has_of(maker[1], maker)


def test_waiting_offers_are_bounded_for_both_apps() -> None:
    world = HonestWorld(params=ChatParams(max_handshakes_per_app=2, handshake_refill_s=0.001))
    for _ in range(2):
        world.start_chat(world.a)
    world.run(accept=False)
    world.now += 1
    _start_unaccepted(world)
    failed = world.events_of(world.a, ChatFailed)[-1]
    assert (failed.code, failed.retry_after_ms) == (ErrorCode.LIMIT_EXCEEDED, RETRY_LATER_MS)
    assert len(world.b.offers) == 2
    world.run()
    assert len(world.events_of(world.b, ChatReady)) == 2
    assert not world.n.running._admission.offers
    assert not world.m.running._admission.offers


def _start_unaccepted(world: HonestWorld) -> None:
    world.start_chat(world.a)
    world.run(accept=False)


def test_handshakes_are_throttled_with_a_hint() -> None:
    world = HonestWorld(params=ChatParams(max_handshakes_per_app=2, handshake_refill_s=4.0))
    world.open_chat()
    world.open_chat()
    world.start_chat(world.a)
    world.run()
    notice = world.messages("node-0", "app-0", ErrorNotice)[-1]
    assert (notice.code, notice.retry_after_ms, notice.scope) == (ErrorCode.HANDSHAKE_THROTTLED, 4000, ErrorScope.FRAME)
    world.pass_time(4.1)
    assert world.open_chat()
    assert len(world.events_of(world.a, ChatReady)) == 3


def test_throttle_outlives_the_stream() -> None:
    world = HonestWorld(params=ChatParams(max_handshakes_per_app=1, handshake_refill_s=100.0))
    world.open_chat()
    world.cut("app-0", "node-0")
    world.reconnect()
    world.start_chat(world.a)
    world.run()
    assert world.events_of(world.a, ChatFailed)[-1].code is ErrorCode.HANDSHAKE_THROTTLED


def test_chat_id_that_is_taken() -> None:
    world = HonestWorld()
    world.start_chat(world.a)
    offer = world.step("app-0", "node-0")
    world.run()
    assert isinstance(offer, Offer)
    world.inject("app-0", "node-0", offer)
    world.run()
    assert world.messages("node-0", "app-0", ErrorNotice)[-1].code is ErrorCode.CHAT_EXISTS
    assert world.chat_of(world.n, offer.chat_id).state is ChatState.ACTIVE
    assert world.a.live() == [offer.chat_id]
    world.send(world.a, offer.chat_id)
    world.run()
    assert world.ledger.chats[offer.chat_id].received == {"app-1": 1}


def test_ended_chat_cannot_be_offered_again() -> None:
    world = HonestWorld()
    world.start_chat(world.a)
    world.step("app-0", "node-0")
    world.step("node-0", "node-1")
    offer = world.step("node-1", "app-1")
    world.run()
    assert isinstance(offer, Offer)
    world.delete(world.b, offer.chat_id)
    world.run()
    world.inject("node-1", "app-1", offer)
    assert world.stream("node-1", "app-1").inbox["node-1"][-1] == Reject(offer.chat_id, ErrorCode.CHAT_EXISTS)
    assert not world.b.offers


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"initiator_key": Identity.generate().public_key}, ErrorCode.AUTH_FAILED),
        ({"target": "self"}, ErrorCode.INVALID_FRAME),
        ({"hop": "flip"}, ErrorCode.AUTH_FAILED),
        ({"hop": "epoch"}, ErrorCode.KEY_VERSION_MISMATCH),
        ({"hop": "zero"}, ErrorCode.AUTH_FAILED),
    ],
)
def test_bad_offers_leave_nothing(change: dict[str, Any], code: ErrorCode) -> None:
    world = HonestWorld()
    world.start_chat(world.a)
    offer = world.stream("app-0", "node-0").inbox["node-0"].popleft()
    assert isinstance(offer, Offer)
    if change.get("target") == "self":
        change = {"target": world.a.app_id}
    if change.get("hop") == "flip":
        change = {
            "hop": dataclasses.replace(offer.hop, signature=bytes([offer.hop.signature[0] ^ 1]) + offer.hop.signature[1:])
        }
    elif change.get("hop") == "epoch":
        change = {"hop": dataclasses.replace(offer.hop, epoch=2)}
    elif change.get("hop") == "zero":
        change = {"hop": dataclasses.replace(offer.hop, ephemeral=bytes(32))}
    world.inject("app-0", "node-0", dataclasses.replace(offer, **change))
    world.run()
    assert world.events_of(world.a, ChatFailed)[-1].code is code
    assert world.events_of(world.n, HandshakeFailed)[-1].code is code
    assert not world.n.running.live_chats()
    assert not world.messages("node-0", "node-1", Offer)


def test_end_to_end_offer_of_somebody_else_is_refused_by_the_app() -> None:
    world = HonestWorld()
    world.start_chat(world.a)
    world.step("app-0", "node-0")
    world.step("node-0", "node-1")
    offer = world.stream("node-1", "app-1").inbox["app-1"].popleft()
    assert isinstance(offer, Offer)
    mallory = Identity.generate()
    world.inject("node-1", "app-1", dataclasses.replace(offer, initiator_key=mallory.public_key))
    assert not world.b.offers, "a node cannot say who offers"
    world.run()
    assert world.events_of(world.a, ChatFailed)[-1].code is ErrorCode.AUTH_FAILED


def test_answer_of_somebody_else_is_refused() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    world.run(accept=False)
    world.decide(world.b, accept=True)
    answer = world.stream("app-1", "node-1").inbox["node-1"].popleft()
    assert isinstance(answer, Answer)
    for forged in (
        dataclasses.replace(answer, responder_key=Identity.generate().public_key),
        dataclasses.replace(answer, hop=answer.end_to_end),
        dataclasses.replace(answer, end_to_end=dataclasses.replace(answer.end_to_end, epoch=2)),
    ):
        world.inject("app-1", "node-1", forged)
        world.run()
        assert world.messages("node-1", "app-1", ErrorNotice)
        waiting = world.chat_of(world.m, chat_id).handshake.under_way  # type: ignore[arg-type]
        assert waiting is not None, "a bad answer does not end the wait for the good one"
    world.inject("app-1", "node-1", answer)
    world.run()
    assert world.events_of(world.a, ChatReady) == [ChatReady(chat_id)]  # type: ignore[arg-type]


def test_altered_end_to_end_answer_ends_the_attempt() -> None:
    world = HonestWorld()
    chat_id = world.start_chat(world.a)
    world.run(accept=False)
    world.decide(world.b, accept=True)
    world.step("app-1", "node-1")
    world.step("node-1", "node-0")
    answer = world.stream("node-0", "app-0").inbox["app-0"].popleft()
    assert isinstance(answer, Answer)
    world.inject("node-0", "app-0", dataclasses.replace(answer, end_to_end_confirm=bytes(32)))
    world.run()
    assert world.events_of(world.a, ChatFailed)[-1].code is ErrorCode.KEY_MISMATCH
    assert world.events_of(world.a, ChatEnded) == [ChatEnded(chat_id, CloseReason.RATCHET_FAILED)]  # type: ignore[arg-type]
    assert [event.reason for event in world.events_of(world.b, ChatEnded)] == [CloseReason.RATCHET_FAILED]
    assert not world.n.store.records
    assert not world.m.store.records


def test_lost_streams_during_the_first_handshake() -> None:
    for cut in (("app-0", "node-0"), ("node-0", "node-1"), ("app-1", "node-1")):
        world = HonestWorld()
        world.start_chat(world.a)
        world.run(accept=False)
        world.cut(*cut)
        world.run()
        world.reconnect()
        for app in world.apps.values():
            assert [event.reason for event in world.events_of(app, ChatEnded)] == [CloseReason.ROUTE_UNAVAILABLE], cut
        assert not world.n.running.live_chats()
        assert not world.m.running.live_chats()
        assert world.open_chat()


def test_foreigners_learn_nothing() -> None:
    """A chat of others and a chat that is not there look alike, whatever is asked."""
    world = HonestWorld()
    chat_id = world.open_chat()
    world.send(world.a, chat_id)
    world.run()
    frame = world.messages("app-0", "node-0", Sealed)[0].frame
    offer = world.messages("app-0", "node-0", Offer)[0]
    answer = world.messages("app-1", "node-1", Answer)[0]
    claims = (dataclasses.replace(_claim(), epoch=1),)
    eve = Identity.generate()
    eve_id = derive_app_id(eve.public_key)
    world.n.running.connected(app_neighbour(eve_id), 999, eve.public_key, make_stream_keys(bytes(32), dialled=True), world.now)
    before = world.n.running.take_output()
    assert not before.sends
    replies = []
    for asked in (chat_id, ChatId(bytes(16))):
        rekey = dataclasses.replace(
            offer, chat_id=asked, initiator_key=eve.public_key, end_to_end=dataclasses.replace(offer.end_to_end, epoch=2)
        )
        for message in (
            Sealed(frame[:2] + asked + frame[18:]),
            rekey,
            dataclasses.replace(answer, chat_id=asked),
            Confirm(asked, 1, bytes(32), 1, bytes(32)),
            Reject(asked, ErrorCode.LIMIT_EXCEEDED),
            Resume(asked, claims),
            Delete(asked),
        ):
            world.n.running.receive(app_neighbour(eve_id), message, world.now)
        output = world.n.running.take_output()
        assert not output.needs_commit
        replies.append([(send.message.code, send.message.scope, send.message.detail) for send in output.sends])  # type: ignore[union-attr]
    assert replies[0] == replies[1]
    assert {code for code, _, _ in replies[0]} == {ErrorCode.CHAT_NOT_FOUND}
    assert len(replies[0]) == 7


def _claim() -> Any:
    from hermes_core.ratchet.claim import EpochClaim

    return EpochClaim(1, 1, bytes(32), 0, 0, 0, 0, bytes(32))


def test_messages_that_go_the_other_way() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for message in (
        PathState(chat_id, up=False),
        Closed(chat_id, CloseReason.DELETED),
        ErrorNotice(ErrorCode.CHAT_NOT_FOUND, ErrorScope.CHAT, chat_id, "", 0),
    ):
        world.inject("app-0", "node-0", message)
        world.run()
        assert world.messages("node-0", "app-0", ErrorNotice)[-1].code is ErrorCode.INVALID_FRAME
    world.inject("node-0", "node-1", Delete(chat_id))
    world.run()
    assert world.messages("node-1", "node-0", ErrorNotice)[-1].code is ErrorCode.INVALID_FRAME
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 1}


def test_owner_is_told_what_cannot_be_done() -> None:
    world = HonestWorld(app_params=AppParams(max_chats=1))
    with pytest.raises(ProtocolError) as caught:
        world.a.machine.start_chat(world.a.app_id, world.now)
    assert caught.value.code is ErrorCode.INVALID_FRAME
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    for call in (
        lambda: world.a.machine.send(chat_id, b"x", world.now),
        lambda: world.a.machine.rekey(chat_id, world.now),
        lambda: world.a.machine.accept(chat_id, world.now),
        lambda: world.a.machine.reject(chat_id, ErrorCode.DRAINING, world.now),
    ):
        with pytest.raises(ProtocolError) as caught:
            call()
        assert caught.value.code is ErrorCode.CHAT_NOT_READY
    world.run()
    world.a.machine.send(chat_id, bytes(64 * 1024), world.now)
    with pytest.raises(ProtocolError) as caught:
        world.a.machine.send(chat_id, bytes(64 * 1024 + 1), world.now)
    assert caught.value.code is ErrorCode.INVALID_FRAME
    with pytest.raises(ProtocolError) as caught:
        world.a.machine.start_chat(world.b.app_id, world.now)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    assert not caught.value.retry_after_ms, "no time makes room"
    with pytest.raises(ProtocolError) as caught:
        world.a.machine.delete(ChatId(bytes(16)), world.now)
    assert caught.value.code is ErrorCode.CHAT_NOT_FOUND
    world.cut("app-1", "node-1")
    with pytest.raises(ProtocolError) as caught:
        world.b.machine.start_chat(world.a.app_id, world.now)
    assert caught.value.code is ErrorCode.ROUTE_UNAVAILABLE
