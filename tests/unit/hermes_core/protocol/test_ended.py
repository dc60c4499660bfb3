"""What is remembered of ended chats, for how long, and how much of it."""

from __future__ import annotations

from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.protocol.ended import EndedChats
from hermes_core.protocol.messages import Offer, Reject
from hermes_core.ratchet.replay import FIRST_OFFER_S, REMEMBERED_END_S
from tests.model.honest import HonestWorld


def make_id(number: int) -> ChatId:
    return ChatId(number.to_bytes(16, "big"))


def test_an_end_is_remembered_for_longer_than_its_first_offer_passes() -> None:
    """A clock that is an hour ahead makes an offer that is fresh for two hours."""
    assert REMEMBERED_END_S > 2 * FIRST_OFFER_S
    ended = EndedChats(10)
    ended.add(make_id(1), 0.0)
    ended.add(make_id(2), REMEMBERED_END_S - 1)
    assert make_id(1) in ended
    ended.add(make_id(3), REMEMBERED_END_S)
    assert make_id(1) not in ended
    assert len(ended) == 2


def test_of_too_many_the_latest_are_remembered() -> None:
    ended = EndedChats(3)
    for number in (1, 2, 3, 1, 4):
        ended.add(make_id(number), 0.0)
    assert [number for number in range(1, 5) if make_id(number) in ended] == [1, 3, 4]


def test_a_first_offer_that_was_recorded_opens_no_second_chat() -> None:
    world = HonestWorld()
    chat_id = world.open_chat()
    (offer,) = world.messages("app-0", "node-0", Offer)
    world.delete(world.a, chat_id)
    world.run()
    assert not world.n.tombstones  # everybody has acknowledged the end
    world.cut("app-0", "node-0")
    world.reconnect()
    world.inject("app-0", "node-0", offer)
    world.run()
    assert chat_id not in world.n.chats
    assert world.events_of(world.n, type(world.node_events["node-0"][-1]))[-1].code is ErrorCode.CHAT_EXISTS
    assert not world.messages("node-1", "app-1", Reject)
