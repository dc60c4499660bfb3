"""Offers as a client hands them out: they end with their handshake, are taken once, and leave no chat when they cannot be."""

from __future__ import annotations

import asyncio
import time

import pytest

from hermes_client import HermesClient
from hermes_client.driver import AppDriver
from hermes_core.endpoint.router import DECISIONS_MS
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId, derive_app_id
from hermes_core.protocol.messages import Answer, Closed, CloseReason, Reject
from tests.unit.hermes_client.test_containment import make_driver
from tests.unit.hermes_core.endpoint.parts import PEER_KEY, FarEnds


def offer(driver: AppDriver, number: int) -> FarEnds:
    far = FarEnds(ChatId(number.to_bytes(16, "big")))
    driver.receive(far.offer(time.time()))
    driver.received_batch()
    return far


async def test_an_offer_that_was_withdrawn_is_handed_to_nobody() -> None:
    driver = make_driver()
    first, second = offer(driver, 1), offer(driver, 2)
    driver.receive(Closed(first.chat_id, CloseReason.ROUTE_UNAVAILABLE))
    driver.received_batch()
    assert [waiting.chat_id for waiting in driver.offers] == [second.chat_id]
    driver.disconnect()
    assert not driver.offers, "it went down with its stream"
    driver.close()


async def test_offers_come_on_after_one_was_waited_for_in_vain() -> None:
    client = HermesClient("127.0.0.1:1")
    client._driver = driver = make_driver()
    offers = client.offers()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(offers), 0.001)
    offer(driver, 1)
    assert (await anext(offers)).app_id == derive_app_id(PEER_KEY.public_key)
    driver.close()
    with pytest.raises(StopAsyncIteration):
        await anext(offers)


async def test_an_offer_that_is_over_leaves_no_chat_when_it_is_taken() -> None:
    driver = make_driver()
    far = offer(driver, 1)
    event = driver.offers.popleft()
    driver.receive(Closed(far.chat_id, CloseReason.ROUTE_UNAVAILABLE))
    driver.received_batch()
    with pytest.raises(ProtocolError) as raised:
        driver.accept(event)
    assert raised.value.code is ErrorCode.CHAT_NOT_FOUND
    assert not driver.chats
    driver.close()


async def test_an_offer_is_taken_once_and_its_chat_stays() -> None:
    driver = make_driver()
    offer(driver, 1)
    event = driver.offers.popleft()
    chat = driver.accept(event)
    with pytest.raises(ProtocolError) as raised:
        driver.accept(event)
    assert raised.value.code is ErrorCode.CHAT_NOT_READY
    assert driver.live_chats() == [chat]
    assert driver.chats[chat.chat_id] is chat
    assert [type(sent) for sent in driver.outbound] == [Answer]
    driver.close()


async def test_more_than_may_wait_are_refused_and_a_client_that_goes_refuses_the_rest() -> None:
    driver = make_driver()
    for number in range(65):
        offer(driver, number)
    assert len(driver.offers) == 64
    assert list(driver.outbound) == [Reject(ChatId((64).to_bytes(16, "big")), ErrorCode.HANDSHAKE_THROTTLED, DECISIONS_MS)]
    driver.outbound.clear()
    driver.end_chats()
    refused = [sent.code for sent in driver.outbound if isinstance(sent, Reject)]
    assert refused == [ErrorCode.TARGET_OFFLINE] * 64
    assert not driver.offers
    driver.close()
