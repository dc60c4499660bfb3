"""What an app sends that claims to be proved and is not uses up its stream's budget, as frames do that do not open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.handshake.move import SignedMove, sign_move
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Answer, Confirm, ErrorNotice, MoveAnswer, Moved, MoveOffer, Offer, Reject, Resume
from hermes_core.protocol.session import Connected, Heartbeat
from hermes_core.relay.events import ChatMoved
from hermes_core.relay.output import StreamMessage
from tests.model.honest import HonestWorld
from tests.model.parties import make_identity
from tests.unit.hermes_core.relay.test_sessions import PARAMS
from tests.unit.hermes_core.relay.test_stream_budget import BusyDesk

NEW_STREAM = 7
OTHER = Identity.generate()
SIGNED_BY_ANOTHER = OTHER.sign(b"something else")


@pytest.fixture
def desk() -> BusyDesk:
    desk = BusyDesk()
    for fill in (1, 2):
        desk.join(make_identity(bytes([fill]) * 32))
    return desk


def statement(epoch: int, order: int, ephemeral: bytes = bytes([9]) * 32) -> KeyStatement:
    """One that somebody else signed."""
    return KeyStatement(epoch, order, b"\x01", ephemeral, b"", SIGNED_BY_ANOTHER)


def order_now(desk: BusyDesk) -> int:
    return int(desk.now * 1000) + 1


def forged_first_offer(desk: BusyDesk) -> StreamMessage:
    other = desk.apps[1]
    half = statement(1, order_now(desk))
    return Offer(
        ChatId(Identity.generate().public_key[:16]), make_identity(bytes([1]) * 32).public_key, other.app_id, half, half
    )


def in_anothers_name(desk: BusyDesk) -> StreamMessage:
    offer = forged_first_offer(desk)
    assert isinstance(offer, Offer)
    return replace(offer, initiator_key=OTHER.public_key)


def forged_rekey(desk: BusyDesk) -> StreamMessage:
    chat_id = desk.chat(0, 1)
    half = statement(2, order_now(desk))
    return Offer(chat_id, make_identity(bytes([1]) * 32).public_key, desk.apps[1].app_id, half, half)


def offered_by_the_other(desk: BusyDesk) -> Offer:
    """A chat that waits for app 0's answer."""
    desk.apps[1].start_chat(desk.apps[0].app_id, desk.now)
    output = desk.apps[1].take_output()
    for item in desk.keys[1].writer.tag(output.sends):
        desk.sessions.receive(1, item, desk.now)
    desk.take()
    return next(message for message in reversed(desk.said[0]) if isinstance(message, Offer))


def forged_answer(desk: BusyDesk, ephemeral: bytes = bytes([9]) * 32) -> StreamMessage:
    offer = offered_by_the_other(desk)
    half = statement(1, offer.hop.order, ephemeral)
    key = make_identity(bytes([1]) * 32).public_key
    return Answer(offer.chat_id, key, statement(1, offer.end_to_end.order), bytes(32), half, bytes(32))


def answer_of_another_app(desk: BusyDesk) -> StreamMessage:
    answer = forged_answer(desk)
    assert isinstance(answer, Answer)
    return replace(answer, responder_key=OTHER.public_key)


def forged_confirm(desk: BusyDesk) -> StreamMessage:
    """App 0 began the chat: its node waits for the tag of its first epoch, or has had it."""
    return Confirm(desk.chat(0, 1), 0, b"", 1, bytes(32))


def forged_claims(desk: BusyDesk) -> StreamMessage:
    """On a new stream, where the chat is not resumed yet."""
    chat_id = desk.chat(0, 1)
    claims = desk.apps[0].chats[chat_id].leg.claims(bytes(32))
    app = desk.connect(NEW_STREAM, make_identity(bytes([1]) * 32))
    connected = next(message for message in desk.said[NEW_STREAM] if isinstance(message, Connected))
    desk.keys[NEW_STREAM] = app.complete(connected)
    return Resume(chat_id, claims)


def signed_move(desk: BusyDesk, chat_id: ChatId) -> tuple[SignedMove, KeyStatement]:
    """By app 0, to the node of the desk; the offer of the leg is forged."""
    half = statement(1, order_now(desk))
    home = desk.apps[0].chats[desk.chat(0, 1)].leg.peer
    return sign_move(make_identity(bytes([1]) * 32), chat_id, desk.apps[1].app_id, home, 1, half), half


def move_with_a_forged_leg(desk: BusyDesk) -> StreamMessage:
    chat_id = desk.chat(0, 1)
    return MoveOffer(chat_id, *signed_move(desk, chat_id))


def arrival_with_a_forged_leg(desk: BusyDesk) -> StreamMessage:
    """Of a chat that the node has never heard of."""
    chat_id = ChatId(Identity.generate().public_key[:16])
    return MoveOffer(chat_id, *signed_move(desk, chat_id))


def forged_move(desk: BusyDesk) -> StreamMessage:
    chat_id = desk.chat(0, 1)
    move, half = signed_move(desk, chat_id)
    return MoveOffer(chat_id, replace(move, signature=SIGNED_BY_ANOTHER), half)


def forged_word_of_a_move(desk: BusyDesk) -> StreamMessage:
    chat_id = desk.chat(0, 1)
    return Moved(chat_id, replace(signed_move(desk, chat_id)[0], signature=SIGNED_BY_ANOTHER))


FORGERIES: list[Callable[[BusyDesk], StreamMessage]] = [
    forged_first_offer, in_anothers_name, forged_rekey, forged_answer, answer_of_another_app, forged_confirm, forged_claims,
    move_with_a_forged_leg, arrival_with_a_forged_leg, forged_move, forged_word_of_a_move,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_proof_that_is_false_is_charged_to_its_stream(desk: BusyDesk, forge: Callable[[BusyDesk], StreamMessage]) -> None:
    message = forge(desk)
    stream = NEW_STREAM if NEW_STREAM in desk.keys else 0
    for _ in range(PARAMS.max_invalid_batches):
        desk.receive(stream, message)
    assert stream not in desk.ended, "as many as the budget has are answered"
    refusals = [said for said in desk.said[stream] if isinstance(said, ErrorNotice | Reject)]
    assert len(refusals) >= PARAMS.max_invalid_batches
    desk.receive(stream, message)
    code, scope, discard = desk.end_of(stream)
    assert (scope, discard) == (ErrorScope.STREAM, False)
    assert code in {ErrorCode.AUTH_FAILED, ErrorCode.INVALID_KEY, ErrorCode.KEY_MISMATCH}
    assert 1 not in desk.ended


def test_a_false_confirmation_of_a_leg_that_is_being_made_is_charged_and_the_leg_is_not_in_use(desk: BusyDesk) -> None:
    chat_id, app = desk.chat(0, 1), desk.apps[0]
    assert app._home is not None
    app.chats[chat_id].move(app._home, desk.now)
    for item in desk.keys[0].writer.tag(app.take_output().sends):
        desk.sessions.receive(0, item, desk.now)
    desk.take()
    assert isinstance(desk.said[0][-1], MoveAnswer)
    for _ in range(PARAMS.max_invalid_batches):
        desk.receive(0, Confirm(chat_id, 0, b"", 1, bytes(32)))
    assert 0 not in desk.ended
    assert not any(isinstance(event, ChatMoved) for event in desk.events)
    desk.receive(0, Confirm(chat_id, 0, b"", 1, bytes(32)))
    assert desk.end_of(0) == (ErrorCode.KEY_MISMATCH, ErrorScope.STREAM, False)


def test_who_is_charged_is_whose_stream_it_came_on(desk: BusyDesk) -> None:
    """Claims that waited for a verdict are looked at later, after whatever another stream says next."""
    chats = desk.relay.chats
    chats.hold_resumes()
    forged = forged_claims(desk)
    assert isinstance(forged, Resume)
    for _ in range(PARAMS.max_invalid_batches):
        desk.receive(NEW_STREAM, forged)
    session = desk.sessions._sessions[NEW_STREAM]
    chats.release_resumes(desk.now)
    desk.receive(1, Heartbeat(1, reply=False))
    desk.receive(1, Resume(forged.chat_id, ()))
    assert session.invalid_batches == 1, "a chat's later claims take the place of earlier ones"
    assert desk.sessions._sessions[1].invalid_batches == 0


def test_what_honest_apps_say_when_their_offers_cross_and_repeat_costs_nothing() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    for _ in range(5):
        world.rekey(world.a, chat_id)
        world.rekey(world.b, chat_id)
        world.run()
        world.cut("app-0", "node-0")
        world.reconnect()
        world.pass_time(30.0)
    assert world.a.machine.chats[chat_id].end_to_end.epoch > 1
