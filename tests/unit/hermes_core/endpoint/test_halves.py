"""Every message of a handshake carries two halves: when one of them is refused, the other one changes nothing either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import FrameRefused
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.protocol.messages import Answer, ChatMessage
from tests.unit.hermes_core.endpoint.parts import HOME, NOW, FarEnds, Notebook, make_context, make_offered_chat, make_open_chat
from tests.unit.hermes_core.ratchet.pairs import describe_state


def both(chat: AppChat) -> tuple[object, ...]:
    return describe_state(chat.end_to_end), describe_state(chat.leg)


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def spoil(statement: KeyStatement) -> KeyStatement:
    return replace(statement, signature=flip(statement.signature))


def alter(message: Any, half: str, change: Callable[[Any], Any]) -> ChatMessage:
    altered: ChatMessage = replace(message, **{half: change(getattr(message, half))})
    return altered


def refuse(chat: AppChat, effects: Notebook, message: ChatMessage, code: ErrorCode) -> None:
    before = both(chat)
    effects.events.clear()
    chat.receive(message, NOW)
    assert effects.events[0] == FrameRefused(chat.chat_id, code)
    assert both(chat) == before


def make_answered_chat() -> tuple[AppChat, Notebook, FarEnds, Answer]:
    """The peer's rekey was answered; its confirmation has not come."""
    chat, effects, far = make_open_chat()
    chat.receive(far.offer(), NOW)
    answer = effects.sends.pop()
    assert isinstance(answer, Answer)
    assert (chat.end_to_end.pending_epoch, chat.leg.pending_epoch) == (2, 2)
    return chat, effects, far, answer


@pytest.mark.parametrize("half", ["end_to_end", "hop"])
def test_half_an_offer_keeps_the_epoch_that_is_pending(half: str) -> None:
    chat, effects, far, _ = make_answered_chat()
    offer = far.offer()
    refuse(chat, effects, alter(offer, half, spoil), ErrorCode.AUTH_FAILED)
    chat.receive(offer, NOW)
    answer = effects.sends.pop()
    chat.receive(far.complete(answer), NOW)
    assert (chat.end_to_end.epoch, chat.leg.epoch) == (2, 2)


@pytest.mark.parametrize("half", ["end_to_end", "hop"])
def test_half_an_answer_gives_no_half_new_keys(half: str) -> None:
    chat, effects, far = make_open_chat()
    chat.rekey(NOW)
    answer = far.answer(effects.sends.pop())
    before = chat.end_to_end.epoch, chat.leg.epoch
    chat.receive(alter(answer, half, spoil), NOW)
    assert FrameRefused(chat.chat_id, ErrorCode.AUTH_FAILED) in effects.events
    assert (chat.end_to_end.epoch, chat.leg.epoch) == before


@pytest.mark.parametrize("half", ["end_to_end_confirm", "hop_confirm"])
def test_half_a_confirmation_confirms_nothing(half: str) -> None:
    chat, effects, far, answer = make_answered_chat()
    confirm = far.complete(answer)
    refuse(chat, effects, alter(confirm, half, flip), ErrorCode.KEY_MISMATCH)
    chat.receive(confirm, NOW)
    assert (chat.end_to_end.epoch, chat.leg.epoch) == (2, 2)


@pytest.mark.parametrize("half", ["end_to_end", "hop"])
def test_half_a_first_offer_is_no_chat(half: str) -> None:
    _, _, far = make_offered_chat()
    offer = far.offer()
    chat, effects, _ = make_offered_chat()
    before = both(chat)
    chat.receive(alter(offer, half, spoil), NOW)
    assert both(chat) == before
    assert effects.sends != []  # it is rejected


# a first offer, and when it was made


@pytest.mark.parametrize(("made_s", "refused"), [(-3600.0, False), (3600.0, False), (-3601.0, True), (3601.0, True)])
def test_a_first_offer_of_another_hour_is_refused(made_s: float, refused: bool) -> None:
    _, effects, far = make_offered_chat()
    clock = 1_700_000_000.0
    home = replace(HOME, ahead_s=clock - NOW)
    offer = far.offer(clock + made_s)
    if not refused:
        AppChat.receive_first(make_context(effects), offer, home, NOW)
        return
    with pytest.raises(ProtocolError) as raised:
        AppChat.receive_first(make_context(effects), offer, home, NOW)
    assert raised.value.code is ErrorCode.CLOCK_SKEW
