"""Offers that wait for a decision: so many and no more, as long as the other app waits; then they end."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatFailed, ChatOffered, FrameRefused
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import DECISIONS_MS, AppChats
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Answer, Closed, CloseReason, Delete, ErrorNotice, Offer, Reject
from tests.unit.hermes_core.endpoint.parts import NOW, FarEnds
from tests.unit.hermes_core.endpoint.test_router import PEER, make_app, make_app_with_chat

FEW = 3


def _offer(number: int) -> Offer:
    return FarEnds(ChatId(number.to_bytes(16, "big"))).offer()


def make_app_with_offers() -> tuple[AppChats, list[ChatId]]:
    app = make_app(AppParams(max_offers=FEW, handshake_timeout_s=20.0))
    offers = [_offer(number) for number in range(FEW)]
    for offer in offers:
        app.receive(offer, NOW)
    assert app.take_output().events == [ChatOffered(offer.chat_id, PEER) for offer in offers]
    return app, [offer.chat_id for offer in offers]


def test_more_offers_than_may_wait_are_refused() -> None:
    app, _ = make_app_with_offers()
    app.receive(_offer(9), NOW)
    output = app.take_output()
    assert output.sends == [Reject(_offer(9).chat_id, ErrorCode.HANDSHAKE_THROTTLED, DECISIONS_MS)]
    assert output.events == [FrameRefused(_offer(9).chat_id, ErrorCode.HANDSHAKE_THROTTLED)]


@pytest.mark.parametrize("decide", ["accept", "reject", "closed", "delete"])
def test_a_decision_makes_room(decide: str) -> None:
    app, offers = make_app_with_offers()
    match decide:
        case "accept":
            app.accept(offers[0], NOW)
        case "reject":
            app.reject(offers[0], ErrorCode.TARGET_NOT_FOUND, NOW)
        case "closed":
            app.receive(Closed(offers[0], CloseReason.ROUTE_UNAVAILABLE), NOW)
        case "delete":
            app.delete(offers[0], NOW)
    app.take_output()
    app.receive(_offer(9), NOW)
    assert ChatOffered(_offer(9).chat_id, PEER) in app.take_output().events


def test_an_offer_ends_when_the_other_app_has_given_up_whoever_says_so() -> None:
    app, offers = make_app_with_offers()
    app.accept(offers[0], NOW + 1)
    app.take_output()
    assert app.next_timer() == NOW + 20.0
    app.handle_timer(NOW + 20.0)
    output = app.take_output()
    assert output.events == [ChatEnded(chat_id, CloseReason.ROUTE_UNAVAILABLE) for chat_id in offers[1:]]
    assert output.sends == [Delete(chat_id) for chat_id in offers[1:]]
    with pytest.raises(ProtocolError) as raised:
        app.accept(offers[1], NOW + 21)
    assert raised.value.code is ErrorCode.CHAT_NOT_FOUND
    assert list(app.chats) == offers[:1]


def test_an_offer_is_decided_once() -> None:
    app, offers = make_app_with_offers()
    app.accept(offers[0], NOW)
    assert [type(sent) for sent in app.take_output().sends] == [Answer]
    with pytest.raises(ProtocolError, match="does not wait for a decision"):
        app.accept(offers[0], NOW)
    with pytest.raises(ProtocolError, match="does not wait for a decision"):
        app.reject(offers[0], ErrorCode.TARGET_NOT_FOUND, NOW)
    output = app.take_output()
    assert (output.sends, output.events) == ([], [])
    assert offers[0] in app.chats


def test_an_app_that_goes_deletes_its_chats_and_refuses_what_waits() -> None:
    app, chat_id, _ = make_app_with_chat()
    offer = _offer(1)
    app.receive(offer, NOW)
    app.take_output()
    proofs = app.chats[chat_id].end_to_end.prove_end()
    app.end_all(NOW)
    assert app.take_output().sends == [Delete(chat_id, proofs=proofs), Reject(offer.chat_id, ErrorCode.TARGET_OFFLINE)]
    assert not app.chats


def test_a_start_that_was_throttled_says_when_to_try_again() -> None:
    app = make_app()
    chat_id = app.start_chat(PEER, NOW)
    app.take_output()
    app.receive(ErrorNotice(ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, chat_id, "slow", 1500), NOW)
    assert ChatFailed(chat_id, ErrorCode.HANDSHAKE_THROTTLED, "slow", 1500) in app.take_output().events


def test_a_rekey_that_was_throttled_says_when_to_try_again() -> None:
    app, chat_id, _ = make_app_with_chat()
    app.rekey(chat_id, NOW)
    app.take_output()
    app.receive(ErrorNotice(ErrorCode.REKEY_THROTTLED, ErrorScope.FRAME, chat_id, "slow", 1500), NOW)
    assert ChatFailed(chat_id, ErrorCode.REKEY_THROTTLED, "slow", 1500) in app.take_output().events


def test_a_rekey_that_nobody_waits_for_any_more_is_not_offered() -> None:
    app, chat_id, _ = make_app_with_chat()
    app.chats[chat_id].disconnected(NOW)
    app.rekey(chat_id, NOW)
    app.withdraw_rekey(chat_id, NOW)
    app.take_output()
    assert type(app.chats[chat_id].handshake.state).__name__ == "Active"
