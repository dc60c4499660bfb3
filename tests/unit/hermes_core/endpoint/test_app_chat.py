"""One chat of an app: which messages it takes, its deadlines, what it tells its owner, its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import get_args

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.endpoint.agreement import Accepted, Active, Offering, Paused, Starting
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import ChatFailed, ChatReady, FrameRefused, MessageReceived, MessagesAcked, PathChanged
from hermes_core.endpoint.hop import HopState
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import ChannelKind, app_party
from hermes_core.protocol.messages import (
    ChatMessage,
    Closed,
    ClosedAck,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    MoveAnswer,
    Moved,
    MoveOffer,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import encode_data, parse_data_frame
from hermes_core.protocol.timers import fire_due, next_due
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.header import OVERHEAD_BYTES
from hermes_core.ratchet.padding import pad
from tests.unit.hermes_core.endpoint.parts import (
    HOME,
    NOW,
    OTHER_HOME,
    OTHER_KEY,
    OWN_KEY,
    PEER_NONCE,
    FarEnds,
    Notebook,
    make_chat,
    make_context,
    make_offered_chat,
    make_open_chat,
)


def kinds(messages: list[ChatMessage]) -> list[type]:
    return [type(message) for message in messages]


def test_every_message_is_taken_or_for_nodes_alone() -> None:
    assert set(AppChat.TAKES) | {Delete, ClosedAck, MoveOffer} == set(get_args(ChatMessage))
    chat, effects, _ = make_open_chat()
    chat.receive(Delete(chat.chat_id), NOW)
    assert effects.events == [FrameRefused(chat.chat_id, ErrorCode.INVALID_FRAME)]


# deadlines


def _offer_rekey() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_open_chat()
    chat.rekey(NOW)
    return chat, effects


def _pause_rekey() -> tuple[AppChat, Notebook]:
    chat, effects = _offer_rekey()
    chat.receive(Reject(chat.chat_id, ErrorCode.ROUTE_UNAVAILABLE), NOW)
    return chat, effects


def _accept() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_offered_chat()
    chat.accept(NOW)
    return chat, effects


def _send() -> tuple[AppChat, Notebook]:
    chat, effects, far = make_open_chat()
    chat.receive(far.seal_ack(0), NOW)  # shows that our confirmation arrived
    chat.send(b"x", NOW)
    return chat, effects


def _claim() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_open_chat()
    chat.disconnected(NOW)
    chat.connected(HOME, NOW)
    return chat, effects


def _move() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_open_chat()
    chat.disconnected(NOW)
    chat.move(OTHER_HOME, NOW)
    return chat, effects


def _be_refused() -> tuple[AppChat, Notebook]:
    chat, effects = _move()
    chat.receive(ErrorNotice(ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, chat.chat_id, "", 7500), NOW)
    return chat, effects


def _have_no_path() -> tuple[AppChat, Notebook]:
    chat, effects = _move()
    offer = effects.sends[-1]
    assert isinstance(offer, MoveOffer)
    leg = Channel(
        kind=ChannelKind.LEG,
        chat_id=chat.chat_id,
        identity=OTHER_KEY,
        local=OTHER_HOME.party,
        peer=app_party(offer.move.mover),
        peer_public_key=OWN_KEY.public_key,
        params=ChannelParams(),
        random=SYSTEM_RANDOM,
    )
    chat.receive(MoveAnswer(chat.chat_id, 1, *leg.answer_offer(offer.hop, NOW)), NOW)
    chat.settle(NOW)
    assert chat.moving.tell_at is not None
    assert NOW + 21.0 <= chat.moving.tell_at <= NOW + 39.0, "30 s, 30 % more or less"
    chat.moving.tell_at = NOW + 30.0
    return chat, effects


def _renew_keys() -> tuple[AppChat, Notebook]:
    chat, effects, far = make_open_chat()
    chat.rekey(NOW)
    chat.receive(far.answer(effects.sends[-1]), NOW)
    assert (chat.end_to_end.epoch, chat.leg.epoch) == (2, 2)
    return chat, effects


def _ask() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_open_chat()
    chat.transfer.claims.await_first()
    chat.settle(NOW)
    return chat, effects


def _estrange() -> tuple[AppChat, Notebook]:
    chat, effects, _ = make_estranged_chat()
    return chat, effects


@pytest.mark.parametrize(
    ("timer", "arm", "after_s", "sends"),
    [
        ("offer unanswered", make_chat, 30.0, [Delete]),
        ("offer unanswered", _offer_rekey, 30.0, []),
        ("offer undecided", lambda: make_offered_chat()[:2], 30.0, [Delete]),
        ("answer unconfirmed", _accept, 120.0, [Delete]),
        ("offer again", _pause_rekey, 5.0, [Confirm, Offer]),
        ("send again", _send, 5.0, [Sealed]),
        ("ask again", _ask, 5.0, [Sealed]),
        ("no common epoch", _estrange, 600.0, [Delete]),
        ("claim again", _claim, 10.0, [Resume]),
        ("move unanswered", _move, 30.0, [MoveOffer]),
        ("move again", _be_refused, 7.5, [MoveOffer]),
        ("tell move", _have_no_path, 30.0, [Moved]),
        ("content keys", _renew_keys, 30.0, []),
        ("leg keys", _renew_keys, 30.0, []),
    ],
)
def test_each_deadline_fires_when_it_is_due_and_not_before(
    timer: str, arm: Callable[[], tuple[AppChat, Notebook]], after_s: float, sends: list[type]
) -> None:
    chat, effects = arm()
    effects.sends.clear()
    table = [row for row in AppChat.TIMERS if row.name == timer]
    assert next_due(table, chat) == NOW + after_s
    earliest = chat.next_timer()
    assert earliest is not None
    assert earliest <= NOW + after_s
    for now, sent in ((NOW + after_s - 0.001, []), (NOW + after_s, sends)):
        fire_due(table, chat, now, over=lambda chat: chat.ending.over)
        assert kinds(effects.sends) == sent
    following = next_due(table, chat)
    assert chat.ending.over or following is None or following > NOW + after_s, "it would fire for ever"


def test_every_timer_has_a_case_above() -> None:
    (cases,) = (
        mark.args[1]
        for mark in test_each_deadline_fires_when_it_is_due_and_not_before.pytestmark  # type: ignore[attr-defined]
    )
    assert {case[0] for case in cases} == {timer.name for timer in AppChat.TIMERS}


def test_a_timer_that_ends_the_chat_is_the_last_to_fire() -> None:
    chat, effects = make_chat()
    chat.handle_timer(NOW + 10_000)
    assert effects.ended == [(chat.chat_id, CloseReason.ROUTE_UNAVAILABLE)]
    assert effects.events == [ChatFailed(chat.chat_id, ErrorCode.TARGET_OFFLINE, "nobody answered")]


def test_nothing_secret_is_made_before_the_owner_decides() -> None:
    chat, effects, far = make_offered_chat()
    twin = FarEnds(chat.chat_id)
    confirm = twin.complete(make_answer_to(twin))
    effects.events.clear()
    chat.receive(confirm, NOW)
    assert effects.events == [FrameRefused(chat.chat_id, ErrorCode.CHAT_NOT_READY)]
    assert (chat.end_to_end.epoch, chat.leg.epoch) == (0, 0)
    assert (chat.end_to_end.pending_epoch, chat.leg.pending_epoch) == (0, 0)
    chat.accept(NOW)
    assert (chat.end_to_end.pending_epoch, chat.leg.pending_epoch) == (1, 1)
    chat.receive(far.complete(effects.sends[-1]), NOW)
    assert (chat.end_to_end.epoch, chat.leg.epoch) == (1, 1)


def make_answer_to(far: FarEnds) -> ChatMessage:
    """What a chat of its own answers, once its owner has accepted."""
    effects = Notebook()
    chat = AppChat.receive_first(make_context(effects), far.offer(), HOME, NOW)
    chat.accept(NOW)
    return effects.sends[-1]


# what the owner hears


def test_a_chat_that_is_ready_without_its_leg_is_not_told_to_be_up() -> None:
    """The end-to-end half of the confirmation came, the leg's was lost."""
    chat, effects, far = make_offered_chat()
    chat.accept(NOW)
    confirm = far.complete(effects.sends[-1])
    effects.events.clear()
    chat.receive(dataclasses.replace(confirm, hop_epoch=0, hop_confirm=b""), NOW)
    assert effects.events == [ChatReady(chat.chat_id)]
    assert chat.hop.state is HopState.NEW
    chat.receive(confirm, NOW)
    chat.receive(PathState(chat.chat_id, up=True), NOW)
    assert effects.events[1:] == [PathChanged(chat.chat_id, up=True)]


def test_ready_then_up() -> None:
    chat, effects, far = make_offered_chat()
    chat.accept(NOW)
    effects.events.clear()
    chat.receive(far.complete(effects.sends[-1]), NOW)
    assert effects.events == [ChatReady(chat.chat_id), PathChanged(chat.chat_id, up=True)]


@pytest.mark.parametrize("padding", [True, False])
def test_the_size_of_a_frame_is_that_of_its_padding(padding: bool) -> None:
    chat, effects, far = make_open_chat(AppParams(padding=padding))
    effects.sends.clear()
    for content in (b"", b"x", bytes(124), bytes(125), bytes(5000)):
        chat.send(content, NOW)
    lengths = []
    for sent in effects.sends:
        assert isinstance(sent, Sealed)
        payload = far.leg.open(sent.frame, NOW, nonce=HOME.send_nonce)
        lengths.append(len(parse_data_frame(payload)) - OVERHEAD_BYTES[ChannelKind.END_TO_END])
    assert lengths == ([128, 128, 128, 144, 5120] if padding else [4, 5, 128, 129, 5004])


def test_content_that_is_padded_otherwise_is_refused_and_what_is_not_padded_is_taken() -> None:
    chat, effects, far = make_open_chat()
    effects.events.clear()
    for seq, plaintext in ((1, pad(b"plain", padding=False)), (2, pad(b"x", padding=True)[:-1] + b"!"), (2, b"abc")):
        chat.receive(far.seal_plaintext(seq, plaintext), NOW)
    refused = FrameRefused(chat.chat_id, ErrorCode.INVALID_FRAME)
    assert effects.events == [MessageReceived(chat.chat_id, 1, b"plain"), refused, refused]


def test_a_rollback_takes_the_path_down_and_asks_for_new_keys() -> None:
    chat, effects, _ = make_open_chat()
    chat.receive(ErrorNotice(ErrorCode.ROLLBACK_DETECTED, ErrorScope.CHAT, chat.chat_id, "", 0), NOW)
    assert effects.events == [
        FrameRefused(chat.chat_id, ErrorCode.ROLLBACK_DETECTED),
        PathChanged(chat.chat_id, up=False),
    ]
    assert kinds(effects.sends) == [Confirm, Offer], "a rekey passes a leg on which nothing else may"
    assert isinstance(chat.handshake.state, Offering)


# settling


@pytest.mark.parametrize(("asked", "epochs"), [("first", []), ("before the leg has new keys", []), ("after it has", [3])])
def test_new_keys_that_the_leg_had_before_the_node_asked_are_not_what_it_asked_for(asked: str, epochs: list[int]) -> None:
    """The other half of a confirmation came late: the node started anew meanwhile, and doubts the keys of before."""
    chat, effects, far = make_open_chat()

    def ask(when: str) -> None:
        if when == asked:
            chat.receive(ErrorNotice(ErrorCode.REKEY_REQUIRED, ErrorScope.CHAT, chat.chat_id, "", 0), NOW)

    chat.receive(PathState(chat.chat_id, up=False), NOW)
    ask("first")
    chat.receive(far.offer(), NOW)
    confirm = far.complete(effects.sends[-1])
    ask("before the leg has new keys")
    chat.receive(dataclasses.replace(confirm, end_to_end_epoch=0, end_to_end_confirm=b""), NOW)
    ask("after it has")
    effects.sends.clear()
    chat.receive(dataclasses.replace(confirm, hop_epoch=0, hop_confirm=b""), NOW)
    assert [sent.end_to_end.epoch for sent in effects.sends if isinstance(sent, Offer)] == epochs


def test_one_acknowledgement_for_all_that_came_together() -> None:
    chat, effects, far = make_open_chat()
    for seq in (1, 2, 3):
        chat.receive(far.seal(seq, b"%d" % seq), NOW)
        chat.acknowledge(seq)
    assert effects.events == [MessageReceived(chat.chat_id, seq, b"%d" % seq) for seq in (1, 2, 3)]
    assert effects.sends == []
    chat.settle(NOW)
    chat.settle(NOW)
    assert kinds(effects.sends) == [Sealed]


def test_an_acknowledgement_that_finds_no_way_follows_with_the_path() -> None:
    chat, effects, far = make_open_chat()
    chat.receive(far.seal(1, b"x"), NOW)
    chat.acknowledge(1)
    chat.receive(PathState(chat.chat_id, up=False), NOW)
    chat.settle(NOW)
    assert effects.sends == []
    chat.receive(PathState(chat.chat_id, up=True), NOW)
    chat.settle(NOW)
    assert kinds(effects.sends) == [Sealed]


def test_what_is_owed_for_a_confirmation_lapses_without_a_way() -> None:
    """The path that comes up is greeted, once; the initiator repeats its confirmation then, and it is owed anew."""
    chat, effects, far = make_offered_chat()
    chat.accept(NOW)
    confirm = far.complete(effects.sends.pop())
    chat.receive(confirm, NOW)
    chat.receive(PathState(chat.chat_id, up=False), NOW)
    chat.settle(NOW)
    chat.receive(PathState(chat.chat_id, up=True), NOW)
    chat.settle(NOW)
    assert kinds(effects.sends) == [Sealed]
    chat.receive(confirm, NOW)
    chat.settle(NOW)
    assert kinds(effects.sends) == [Sealed, Sealed]


def test_an_acknowledgement_shows_that_our_confirmation_arrived() -> None:
    chat, effects, far = make_open_chat()
    assert chat.end_to_end.confirm_tag() is not None
    chat.receive(far.seal_ack(0), NOW)
    assert chat.end_to_end.confirm_tag() is None
    assert not any(isinstance(event, MessagesAcked) for event in effects.events)


# the end


@pytest.mark.parametrize(
    "end",
    [
        lambda chat: chat.delete(),
        lambda chat: chat.receive(Closed(chat.chat_id, CloseReason.EXPIRED), NOW),
    ],
    ids=["delete", "closed"],
)
def test_an_ended_chat_has_wiped_itself(end: Callable[[AppChat], None]) -> None:
    chat, effects, _ = make_open_chat()
    chat.send(b"x", NOW)
    held = [epoch for channel in (chat.end_to_end, chat.leg) if (epoch := channel.epochs.current) is not None]
    end(chat)
    assert chat.ending.over
    assert len(effects.ended) == 1
    assert len(held) == 2
    assert all(epoch.mac.wiped for epoch in held)
    assert not chat.transfer.outgoing


def test_states_name_where_a_chat_is() -> None:
    assert isinstance(make_chat()[0].handshake.state, Starting)
    assert isinstance(_accept()[0].handshake.state, Accepted)
    assert isinstance(make_open_chat()[0].handshake.state, Active)
    assert isinstance(_pause_rekey()[0].handshake.state, Paused)


# an epoch that is not shared


def make_estranged_chat() -> tuple[AppChat, Notebook, FarEnds]:
    """The peer sends a message in an end-to-end epoch that this app never heard of."""
    chat, effects, far = make_open_chat()
    chat.receive(far.seal_ack(0), NOW)  # shows that our confirmation arrived
    frame = bytearray(far.end_to_end.seal(pad(b"x", padding=True), NOW, nonce=PEER_NONCE, aad_suffix=bytes(7) + b"\1"))
    frame[EPOCH_AT : EPOCH_AT + 4] = (7).to_bytes(4, "big")
    chat.receive(far.seal_payload(encode_data(1, bytes(frame))), NOW)
    assert effects.events.pop() == FrameRefused(chat.chat_id, ErrorCode.KEY_VERSION_MISMATCH)
    return chat, effects, far


EPOCH_AT = 18
DUE = NOW + AppParams().no_common_epoch_s


def test_a_chat_without_a_common_epoch_fails_closed_and_says_so() -> None:
    chat, effects, _ = make_estranged_chat()
    chat.handle_timer(DUE - 1)
    assert not chat.ending.over
    chat.handle_timer(DUE)
    assert effects.ended == [(chat.chat_id, CloseReason.RATCHET_FAILED)]
    assert effects.sends[-1] == Delete(chat.chat_id, failed=True)


def test_a_path_that_is_down_is_no_reason_to_end() -> None:
    chat, _, _ = make_estranged_chat()
    chat.receive(PathState(chat.chat_id, up=False), NOW)
    chat.handle_timer(DUE)
    chat.receive(PathState(chat.chat_id, up=True), DUE)
    chat.handle_timer(DUE)
    assert not chat.ending.over


@pytest.mark.parametrize("sign", ["ack", "message", "rekey"])
def test_whatever_is_authentic_shows_that_an_epoch_is_shared(sign: str) -> None:
    chat, effects, far = make_estranged_chat()
    match sign:
        case "ack":
            chat.receive(far.seal_ack(0), NOW)
        case "message":
            chat.receive(far.seal(1, b"x"), NOW)
        case _:
            chat.receive(far.offer(), NOW)
            chat.receive(far.complete(effects.sends[-1]), NOW)
    chat.handle_timer(DUE)
    assert not chat.ending.over
