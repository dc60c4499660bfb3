"""The echo's chats run beside each other: one that does not come about, or is lost, keeps no other one waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hermes_client import HermesClient
from hermes_client.driver import AppDriver
from hermes_core.endpoint.events import ChatEnded, MessageReceived, Missing, PeerHeard, StoresDiffer
from hermes_core.errors import KeystoreIOError
from hermes_core.ids import ChatId, derive_app_id
from hermes_core.protocol.messages import Answer, CloseReason
from hermes_ctl.chat.echo import Echo
from tests.unit.hermes_client.test_client_connection import _until
from tests.unit.hermes_client.test_containment import make_driver, open_chat
from tests.unit.hermes_client.test_offers import offer
from tests.unit.hermes_core.endpoint.parts import PEER_KEY, FarEnds

PEER = derive_app_id(PEER_KEY.public_key)[:8]


@asynccontextmanager
async def echoing(driver: AppDriver) -> AsyncIterator[list[str]]:
    """What the echo says, while it runs."""
    client = HermesClient("127.0.0.1:1")
    client._driver = driver
    said: list[str] = []
    running = asyncio.create_task(Echo(client, said.append).run())
    await asyncio.sleep(0)
    try:
        yield said
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        driver.close()


def answers_to(driver: AppDriver, far: FarEnds) -> list[Answer]:
    return [sent for sent in driver.outbound if isinstance(sent, Answer) and sent.chat_id == far.chat_id]


def echoes(driver: AppDriver, chat_id: ChatId) -> int:
    """How many messages of ours a chat has."""
    return driver.chats[chat_id].last_sent


def differ(chat_id: ChatId) -> StoresDiffer:
    return StoresDiffer(chat_id, ours=False, sent=Missing(1, 1), received=Missing(1, 0))


async def test_a_caller_who_never_confirms_keeps_nobody_waiting() -> None:
    driver = make_driver()
    async with echoing(driver) as said:
        dead = offer(driver, 1)
        await _until(lambda: bool(answers_to(driver, dead)))
        far = offer(driver, 2)
        await _until(lambda: bool(answers_to(driver, far)))
        driver.receive(far.complete(answers_to(driver, far)[0]))
        driver.receive(far.seal(1, b"hello"))
        driver.received_batch()
        await _until(lambda: echoes(driver, far.chat_id) == 1)
        assert said == [f"* {PEER} called"]


async def test_a_store_that_forgot_is_told_once_and_the_message_in_hand_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = make_driver()
    (chat, _), (other, _) = open_chat(driver), open_chat(driver)
    async with echoing(driver) as said:
        with monkeypatch.context() as full:
            full.setattr(driver, "try_send", lambda *_: None)
            chat.synced = False
            chat.apply(MessageReceived(chat.chat_id, 1, b"one"))
            await _until(lambda: not chat.inbox)
            chat.apply(differ(chat.chat_id))
            await _until(lambda: bool(said))
        chat.apply(PeerHeard(chat.chat_id))
        await _until(lambda: echoes(driver, chat.chat_id) == 1)
        other.apply(MessageReceived(other.chat_id, 1, b"two"))
        await _until(lambda: echoes(driver, other.chat_id) == 1)
        assert len(said) == 1
        assert "came back with an older store" in said[0]


async def test_a_chat_that_is_lost_is_told_in_a_line_and_the_others_go_on() -> None:
    driver = make_driver()
    (chat, _), (other, _) = open_chat(driver), open_chat(driver)
    async with echoing(driver) as said:
        chat.apply(differ(chat.chat_id))
        chat.apply(ChatEnded(chat.chat_id, CloseReason.STATE_LOST))
        await _until(lambda: len(said) == 2)
        assert "came back with an older store" in said[0]
        assert said[1] == f"* the chat with {PEER} is over: chat {chat.chat_id.hex()[:8]} ended: STATE_LOST"
        other.apply(MessageReceived(other.chat_id, 1, b"two"))
        await _until(lambda: echoes(driver, other.chat_id) == 1)


async def test_a_call_whose_store_forgot_comes_to_nothing_and_the_next_is_taken() -> None:
    driver = make_driver()
    async with echoing(driver) as said:
        far = offer(driver, 1)
        await _until(lambda: bool(answers_to(driver, far)))
        chat = driver.chats[far.chat_id]
        chat.apply(differ(far.chat_id))
        chat.apply(ChatEnded(far.chat_id, CloseReason.STATE_LOST))
        await _until(lambda: bool(said))
        assert said[0].startswith(f"* a call of {PEER} came to nothing: ")
        following = offer(driver, 2)
        await _until(lambda: bool(answers_to(driver, following)))


async def test_a_store_that_fails_ends_the_echo_with_its_error_alone() -> None:
    driver = make_driver()
    open_chat(driver)
    client = HermesClient("127.0.0.1:1")
    client._driver = driver
    said: list[str] = []
    running = asyncio.create_task(Echo(client, said.append).run())
    await asyncio.sleep(0)
    driver.close(KeystoreIOError("the disk is full"))
    with pytest.raises(KeystoreIOError, match="the disk is full"):
        await running
    assert not said
