"""What goes wrong in one chat of a client ends that chat: not its other chats, their timers, or the way back to a node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from hermes_client.chat import Chat
from hermes_client.driver import AppDriver
from hermes_client.host import SYSTEM_HOST
from hermes_client.session import HomeSession
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.params import AppParams
from hermes_core.ids import ChatId, derive_app_id
from hermes_core.protocol.messages import CloseReason, Confirm, Delete, Offer, Resume, Sealed
from hermes_core.protocol.session import NodeChange
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_client.scripted_node import ScriptedNode
from tests.unit.hermes_client.test_client_connection import _client, _until
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, OWN_KEY, PEER_KEY, FarEnds

DEADLINE_S = 10.0


class DefectError(Exception):
    """What nobody foresaw."""


def make_driver() -> AppDriver:
    params = AppParams(retransmit_s=0.1, retransmit_max_s=0.1)
    driver = AppDriver(OWN_KEY, params, replace(SYSTEM_HOST, random=SeededRandom("driver")))
    driver.connect(HOME.node_id, HOME.public_key, HOME_KEYS)
    return driver


def open_chat(driver: AppDriver) -> tuple[Chat, FarEnds]:
    chat = driver.start_chat(derive_app_id(PEER_KEY.public_key))
    far = FarEnds(chat.chat_id)
    offer = driver.outbound.pop()
    assert isinstance(offer, Offer)
    driver.receive(far.answer(offer))
    driver.received_batch()
    confirm = driver.outbound.pop()
    assert isinstance(confirm, Confirm)
    far.take(confirm)
    driver.outbound.clear()
    return chat, far


def fail_for(chat_id: ChatId, real: Callable[..., Any]) -> Callable[..., Any]:
    def act(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.chat_id == chat_id:
            raise DefectError
        return real(self, *args, **kwargs)

    return act


@pytest.mark.parametrize("name", ["connected", "disconnected", "handle_timer", "settle", "next_timer"])
async def test_loops_over_chats_go_on_and_their_timer_is_set_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = make_driver()
    broken, _ = open_chat(driver)
    whole, _ = open_chat(driver)
    assert driver.try_send(broken.chat_id, b"x") == driver.try_send(whole.chat_id, b"x") == 1
    driver.outbound.clear()
    monkeypatch.setattr(AppChat, name, fail_for(broken.chat_id, getattr(AppChat, name)))
    driver.flush_acknowledgements()
    driver.acknowledge(broken.chat_id, 0)
    driver.acknowledge(whole.chat_id, 0)
    driver.flush_acknowledgements()
    await _until(lambda: any(isinstance(sent, Sealed) for sent in driver.outbound))  # sent again by the timer of the whole one
    driver.disconnect()
    driver.connect(HOME.node_id, HOME.public_key, make_stream_keys(b"2" * 32, dialled=True))
    assert [sent.chat_id for sent in driver.outbound if isinstance(sent, Resume)] == [whole.chat_id]
    assert broken.ended is CloseReason.RATCHET_FAILED
    assert broken.failure is not None
    assert "DefectError" in str(broken.failure)
    assert driver.live_chats() == [whole]
    driver.close()


@pytest.mark.parametrize("end", [False, True])
async def test_a_handle_that_fails_is_broken_off_and_the_next_one_hears_what_is_its_own(
    end: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver()
    broken, broken_far = open_chat(driver)
    whole, whole_far = open_chat(driver)
    monkeypatch.setattr(Chat, "apply", fail_for(broken.chat_id, Chat.apply))
    if end:
        driver.delete(broken.chat_id)
    else:
        driver.receive(broken_far.seal(1, b"x"))
    driver.receive(whole_far.seal(1, b"y"))
    driver.received_batch()
    assert [message.content for message in whole.inbox] == [b"y"]
    assert driver.live_chats() == [whole]
    assert any(isinstance(sent, Delete) and sent.chat_id == broken.chat_id for sent in driver.outbound)
    driver.close()


async def test_a_chat_that_breaks_while_no_node_is_there_makes_the_client_go_home_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    monkeypatch.setattr(AppChat, "disconnected", fail_for(chat.chat_id, AppChat.disconnected))
    driver.disconnect()
    assert chat.ended is CloseReason.RATCHET_FAILED
    assert driver.owes_delete
    driver.close()


async def test_a_defect_of_a_session_ends_the_session_and_the_client_connects_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = HomeSession.serve
    served = 0

    async def serve(
        self: HomeSession, on_change: Callable[[NodeChange], None], find_next: Callable[[], Awaitable[bool]]
    ) -> None:
        nonlocal served
        served += 1
        if served == 1:
            raise DefectError
        await real(self, on_change, find_next)

    monkeypatch.setattr(HomeSession, "serve", serve)
    async with ScriptedNode("node-0") as node, _client(node) as client:
        await _until(lambda: client.connections == 2 and client.connected)
        await asyncio.wait_for(client.wait_connected(), DEADLINE_S)
    assert "a session ended by a defect" in caplog.text
