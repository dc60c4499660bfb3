"""An app that deletes a chat whose offer still waits at its node: the delete wins, and nobody else ever hears of the chat."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatOffered
from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import Closed, Delete, ErrorNotice, Offer
from hermes_core.relay.directory import FRESH_S
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.whereabouts import MAX_WAITING_OF_ONE, Whereabouts
from tests.model.honest import HonestWorld
from tests.support.control_samples import APP, CONTROL_SAMPLES
from tests.unit.hermes_core.relay.test_route_waits import make_link

OFFER = CONTROL_SAMPLES["Offer"]


class SilentEffects:
    def look_up(self, app_id: AppId) -> None: ...


def a_waiting_offer(monkeypatch: pytest.MonkeyPatch) -> tuple[HonestWorld, ChatId, list[Any]]:
    """Nobody has said yet where its target is; `answers` are to be called."""
    world = HonestWorld()
    world.pass_time(FRESH_S)
    answers: list[Any] = []
    end = world.n.running.end_look_up
    monkeypatch.setattr(
        world.n.running,
        "end_look_up",
        lambda app_id, now, *, complete: answers.append(lambda: end(app_id, now, complete=complete)),
    )
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    assert isinstance(world.step("app-0", "node-0"), Offer)
    assert len(answers) == 1
    return world, chat_id, answers


def delete(world: HonestWorld, chat_id: ChatId) -> None:
    world.a.machine.delete(chat_id, world.now)
    world.a.collect()
    assert isinstance(world.step("app-0", "node-0"), Delete)
    world.n.flush()


def test_an_offer_that_waits_for_a_look_up_is_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    world, chat_id, answers = a_waiting_offer(monkeypatch)
    delete(world, chat_id)
    answers.pop()()
    world.n.flush()
    world.run()
    assert world.messages("node-0", "node-1", Offer) == []
    assert world.events_of(world.b, ChatOffered) == []
    assert world.messages("node-0", "app-0", ErrorNotice) == [], "as for any chat that an app deletes"
    assert world.messages("node-0", "app-0", Closed) == []
    assert [event.chat_id for event in world.events_of(world.a, ChatEnded)] == [chat_id]
    assert world.n.running.live_chats() == 0


def test_it_is_over_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again, the node says that it has no such chat; the same offer again is one of a chat that ended."""
    world, chat_id, answers = a_waiting_offer(monkeypatch)
    ((_, _, offer),) = [seen for seen in world.seen if isinstance(seen[2], Offer)]
    delete(world, chat_id)
    answers.pop()()
    for message, code in ((Delete(chat_id, failed=False), ErrorCode.CHAT_NOT_FOUND), (offer, ErrorCode.CHAT_EXISTS)):
        world.n.running.receive(app_neighbour(world.a.app_id), message, world.now)
        (told,) = world.n.running.take_output().sends
        assert isinstance(told.message, ErrorNotice)
        assert told.message.code is code


def test_an_offer_that_waits_for_a_stream_is_withdrawn() -> None:
    world = HonestWorld()
    world.n.running.dial_on_demand(world.now)
    world.cut("node-0", "node-1")
    chat_id = world.start_chat(world.a)
    assert chat_id is not None
    assert isinstance(world.step("app-0", "node-0"), Offer)
    delete(world, chat_id)
    world.reconnect()
    world.run()
    assert world.events_of(world.b, ChatOffered) == []
    assert world.messages("node-0", "app-0", ErrorNotice) == []


def test_places_of_withdrawn_offers_are_free_again() -> None:
    whereabouts, link = Whereabouts(SilentEffects()), make_link()  # type: ignore[arg-type]
    for _ in range(3):
        for _ in range(MAX_WAITING_OF_ONE):
            whereabouts.hold_offer(link, OFFER, 0.0)
        assert whereabouts.withdraw(app_neighbour(APP), OFFER.chat_id)
    assert not whereabouts.withdraw(app_neighbour(APP), OFFER.chat_id)
    assert whereabouts.take(OFFER.target) == ([], [])
    whereabouts.hold_offer(link, OFFER, 0.0)
    whereabouts.lose(app_neighbour(APP))
    assert not whereabouts.withdraw(app_neighbour(APP), OFFER.chat_id)
