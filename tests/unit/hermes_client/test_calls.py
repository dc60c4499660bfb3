"""Calls that wait: for an app that is away, for a look-up; how they end, and that they undo what they began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hermes_client import CallTimeoutError, HermesClient
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId, NodeId, derive_app_id
from hermes_core.protocol.messages import Delete, ErrorNotice, Offer
from hermes_core.protocol.session import AppFound, FindApp
from tests.unit.hermes_client.scripted_node import Link, Script, ScriptedNode
from tests.unit.hermes_client.test_client_connection import _client
from tests.unit.hermes_client.test_containment import make_driver, open_chat

OTHER = derive_app_id(Identity.generate().public_key)
OFFLINE, UNAVAILABLE = ErrorCode.TARGET_OFFLINE, ErrorCode.ROUTE_UNAVAILABLE


class Refusing:
    """A node that refuses every first offer as it is told to."""

    def __init__(self, code: ErrorCode | None, retry_after_ms: int = 0) -> None:
        self._code = code
        self._retry_after_ms = retry_after_ms
        self.offered: list[tuple[float, ChatId]] = []
        self.deleted: list[ChatId] = []

    async def __call__(self, link: Link) -> None:
        while batch := await link.read():
            for message in batch:
                if isinstance(message, Delete):
                    self.deleted.append(message.chat_id)
                elif isinstance(message, Offer):
                    self.offered.append((asyncio.get_running_loop().time(), message.chat_id))
                    if self._code is not None:
                        notice = (self._code, ErrorScope.CHAT, message.chat_id, "no", self._retry_after_ms)
                        await link.write(ErrorNotice(*notice))


async def refusal_of(client: HermesClient, timeout_s: float) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        await client.start_chat(OTHER, timeout_s)
    assert not client.driver.chats
    assert not client.driver._machine.chats
    return raised.value


@pytest.mark.parametrize("code", [OFFLINE, UNAVAILABLE, ErrorCode.DRAINING, ErrorCode.HANDSHAKE_THROTTLED])
async def test_an_app_that_is_away_is_waited_for_as_long_as_was_said(code: ErrorCode) -> None:
    refusing = Refusing(code)
    async with ScriptedNode("node-0", refusing) as node, _client(node) as client:
        assert (await refusal_of(client, 2.0)).code is code
    assert len(refusing.offered) >= 2
    assert len({chat_id for _, chat_id in refusing.offered}) == len(refusing.offered), "each time with a new id"


@pytest.mark.parametrize("code", [ErrorCode.TARGET_NOT_FOUND, ErrorCode.LIMIT_EXCEEDED, ErrorCode.UNSUPPORTED])
async def test_what_waiting_does_not_change_is_told_at_once(code: ErrorCode) -> None:
    refusing = Refusing(code)
    async with ScriptedNode("node-0", refusing) as node, _client(node) as client:
        assert (await refusal_of(client, 60.0)).code is code
    assert len(refusing.offered) == 1


@pytest.mark.parametrize("code", [OFFLINE, ErrorCode.HANDSHAKE_THROTTLED, ErrorCode.LIMIT_EXCEEDED])
async def test_who_says_when_to_try_again_is_obeyed(code: ErrorCode) -> None:
    refusing = Refusing(code, retry_after_ms=400)
    async with ScriptedNode("node-0", refusing) as node, _client(node) as client:
        error = await refusal_of(client, 3.0)
    assert (error.code, error.retry_after_ms) == (code, 400)
    (first, _), (second, _), *_ = refusing.offered
    assert second - first >= 0.39


async def test_an_app_that_does_not_answer_is_offline_and_its_offer_is_withdrawn() -> None:
    silent = Refusing(None)
    async with ScriptedNode("node-0", silent) as node, _client(node) as client:
        assert (await refusal_of(client, 0.3)).code is OFFLINE
    assert silent.deleted == [chat_id for _, chat_id in silent.offered]
    assert len(silent.offered) == 1


async def test_without_a_node_the_mesh_is_at_fault() -> None:
    async with ScriptedNode("node-0") as node, _client(node) as client:
        await node.stop()
        assert (await refusal_of(client, 0.3)).code is UNAVAILABLE
        with pytest.raises(ProtocolError) as raised:
            await client.wait_for_app(OTHER, 0.1)
        assert raised.value.code is UNAVAILABLE
        await node.start()


def _finding(found: AppFound) -> Script:
    async def script(link: Link) -> None:
        while batch := await link.read():
            for message in batch:
                if isinstance(message, FindApp):
                    await link.write(found)

    return script


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (AppFound(OTHER, online=False, node_id=None), ErrorCode.TARGET_NOT_FOUND),
        (AppFound(OTHER, online=False, node_id=NodeId("node-7")), OFFLINE),
    ],
    ids=["never heard of", "away"],
)
async def test_look_ups_have_the_codes_of_chats(found: AppFound, code: ErrorCode) -> None:
    async with ScriptedNode("node-0", _finding(found)) as node, _client(node) as client:
        with pytest.raises(ProtocolError) as raised:
            await client.wait_for_app(OTHER, 0.2)
        assert raised.value.code is code


@pytest.mark.parametrize("place", range(1, 6))
async def test_a_start_that_is_cancelled_leaves_nothing(place: int) -> None:
    silent = Refusing(None)
    async with ScriptedNode("node-0", silent) as node, _client(node) as client:
        starting = asyncio.create_task(client.start_chat(OTHER))
        for _ in range(place):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not client.driver.chats
        assert not client.driver._machine.chats
    assert silent.deleted == [chat_id for _, chat_id in silent.offered]


@pytest.mark.parametrize(
    "call",
    [
        lambda chat: chat.drain(0.05),
        lambda chat: chat.wait_ended(0.05),
        lambda chat: chat.wait(lambda: False, 0.05),
        lambda chat: chat.rekey(0.05),
    ],
    ids=["drain", "wait_ended", "wait", "rekey"],
)
async def test_the_time_limit_of_what_waits_in_a_chat(call: Callable[..., object]) -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    await chat.send(b"x")
    with pytest.raises(CallTimeoutError, match=r"not done in 0\.05 s"):
        await call(chat)  # type: ignore[misc]
    assert isinstance(CallTimeoutError("x"), TimeoutError)
    driver.close()


async def test_a_message_that_found_no_room_in_time_was_not_sent() -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    while driver.try_send(chat.chat_id, b"x") is not None:
        pass
    with pytest.raises(CallTimeoutError):
        await chat.send(b"y", 0.05)
    assert len(driver._machine.chats[chat.chat_id].transfer.outgoing) == 256
    driver.close()


async def test_a_rekey_waits_for_the_path_and_is_dropped_when_nobody_waits_any_more() -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    driver.disconnect()
    first, second = asyncio.create_task(chat.rekey()), asyncio.create_task(chat.rekey())
    await asyncio.sleep(0)
    state = driver._machine.chats[chat.chat_id].handshake
    assert type(state.state).__name__ == "Wanted"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert type(state.state).__name__ == "Wanted", "another one waits for it"
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert type(state.state).__name__ == "Active"
    driver.close()
