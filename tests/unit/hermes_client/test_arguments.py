"""Whatever an app hands over that cannot be meant is refused before anything changes."""

from __future__ import annotations

import array
import math
from pathlib import Path
from typing import Any

import pytest

from hermes_client import PLAIN, Backoff, ClientTls, HermesClient
from hermes_client.addresses import split_address
from hermes_client.arguments import take_app_id, take_content, take_timeout
from hermes_client.driver import AppDriver
from hermes_client.offer import ChatOffer
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered
from hermes_core.errors import ErrorCode, HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId, derive_app_id
from hermes_core.protocol.messages import Confirm, Sealed
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES
from tests.unit.hermes_client.scripted_node import ScriptedNode
from tests.unit.hermes_client.test_client_connection import _client
from tests.unit.hermes_client.test_containment import make_driver, open_chat

APP = derive_app_id(Identity.generate().public_key)
NO_CONTENT: tuple[Any, ...] = ("text", None, 7, 1.5, ["x"], memoryview(array.array("I", [1])), object())
NO_APP_ID: tuple[Any, ...] = (bytes(32), None, 7, ["x"])
NO_TIMEOUT: tuple[Any, ...] = ("30", True, [30])


@pytest.mark.parametrize(
    "content",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xaxbxcx")[1::2], memoryview(array.array("b", b"abc"))],
)
def test_what_is_like_bytes_is_copied(content: Any) -> None:
    assert type(take_content(content)) is bytes
    assert take_content(content) == b"abc"


def test_a_buffer_that_changes_afterwards_changes_no_message() -> None:
    buffer = bytearray(b"abc")
    copied = take_content(memoryview(buffer))
    buffer[:] = b"xyz"
    assert copied == b"abc"


@pytest.mark.parametrize("content", NO_CONTENT, ids=lambda value: type(value).__name__)
async def test_content_that_is_none_leaves_no_trace_in_its_chat(content: Any) -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    with pytest.raises(TypeError, match="content"):
        await chat.send(content)
    assert not driver.outbound
    assert chat.last_sent == 0
    assert await chat.send(b"x") == 1
    assert [type(sent) for sent in driver.outbound] == [Sealed]
    driver.close()


@pytest.mark.parametrize("make", [bytes, bytearray, lambda size: memoryview(bytes(size))])
async def test_content_that_is_too_long_leaves_no_trace_in_its_chat(make: Any) -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    with pytest.raises(ProtocolError, match="at most 65536 bytes, this one has 65537") as raised:
        await chat.send(make(MAX_CONTENT_BYTES + 1))
    assert raised.value.code is ErrorCode.INVALID_FRAME
    assert not driver.outbound
    assert await chat.send(make(MAX_CONTENT_BYTES)) == 1
    driver.close()


@pytest.mark.parametrize("app_id", NO_APP_ID, ids=lambda value: type(value).__name__)
def test_what_is_no_text_is_no_app_id(app_id: Any) -> None:
    with pytest.raises(TypeError, match="app_id"):
        take_app_id(app_id)


@pytest.mark.parametrize("app_id", ["", "A" * 32, APP + "a", "node-0"], ids=["empty", "upper case", "too long", "a node"])
def test_other_text_is_no_app_id(app_id: str) -> None:
    with pytest.raises(ProtocolError, match="app_id"):
        take_app_id(AppId(app_id))


def test_timeouts() -> None:
    assert [take_timeout(each) for each in (None, 0, 3, 0.5, math.inf)] == [None, 0.0, 3.0, 0.5, None]
    for wrong in (-1, math.nan, -math.inf):
        with pytest.raises(ValueError, match="timeout_s"):
            take_timeout(wrong)
    for no_number in NO_TIMEOUT:
        with pytest.raises(TypeError, match="timeout_s"):
            take_timeout(no_number)


async def test_every_public_call_refuses_what_it_cannot_use() -> None:
    decided: list[object] = []

    async def accept(*asked: object) -> Any:
        decided.append(asked)

    def reject(*asked: object) -> None:
        decided.append(asked)

    offer = ChatOffer(APP, ChatOffered(ChatId(bytes(16)), APP), accept, reject)
    driver = make_driver()
    chat, _ = open_chat(driver)
    async with ScriptedNode("node-0") as node, _client(node) as client:
        for wrong in NO_TIMEOUT:
            for call in (
                lambda wrong=wrong: client.start_chat(APP, wrong),
                lambda wrong=wrong: client.find_app(APP, wrong),
                lambda wrong=wrong: client.wait_for_app(APP, wrong),
                lambda wrong=wrong: client.wait_connected(wrong),
                lambda wrong=wrong: offer.accept(wrong),
                lambda wrong=wrong: chat.send(b"x", wrong),
                lambda wrong=wrong: chat.drain(wrong),
                lambda wrong=wrong: chat.rekey(wrong),
                lambda wrong=wrong: chat.wait_ended(wrong),
                lambda wrong=wrong: chat.wait(lambda: True, wrong),
            ):
                with pytest.raises(TypeError, match="timeout_s"):
                    await call()
        for wrong in NO_APP_ID:
            for ask in (client.start_chat, client.find_app, client.wait_for_app):
                with pytest.raises(TypeError, match="app_id"):
                    await ask(wrong)
        with pytest.raises(ProtocolError, match="cannot chat with itself"):
            await client.start_chat(client.app_id)
        with pytest.raises(TypeError, match="condition"):
            await chat.wait("chat.up")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="code"):
            offer.reject(13)  # type: ignore[arg-type]
        assert not client.driver.chats
        assert not client.driver.outbound
    assert not [sent for sent in driver.outbound if not isinstance(sent, Confirm)], "a confirmation is repeated"
    assert not decided
    assert driver.live_chats() == [chat]
    driver.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls": "plain"},
        {"identity": bytes(32)},
        {"params": {}},
        {"backoff": 3},
        {"host": None},
        {"connect_timeout_s": "1"},
    ],
    ids=str,
)
def test_a_client_refuses_arguments_of_another_type(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        HermesClient("node.example:8443", **wrong)


@pytest.mark.parametrize(
    "address", ["node.example", "node.example:", ":8443", "node.example:0", "node:65536", "http://a:1", "::1:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(HermesError, match=r'give "host:port"'):
        HermesClient(["other.example:8443", address])
    with pytest.raises(TypeError, match="address"):
        HermesClient([7])  # type: ignore[list-item]


def test_addresses() -> None:
    assert split_address("node.example:8443") == ("node.example", 8443)
    assert split_address("[::1]:65535") == ("::1", 65535)
    assert split_address("127.0.0.1:1") == ("127.0.0.1", 1)


def test_tls_takes_paths_as_text_and_refuses_halves() -> None:
    assert ClientTls(ca_file="ca.pem").ca_file == Path("ca.pem")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ca_file"):
        ClientTls(ca_file=b"ca.pem")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="server_name"):
        ClientTls(server_name=b"x")  # type: ignore[arg-type]
    with pytest.raises(HermesError, match="give both, or neither"):
        ClientTls(cert_file=Path("cert.pem"))


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0)])
def test_a_backoff_that_never_waits_or_never_ends_is_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="base_s"):
        Backoff(base_s=base_s, cap_s=cap_s)


async def test_a_chat_that_is_over_and_a_client_that_is_closed_change_nothing() -> None:
    driver: AppDriver = make_driver()
    chat, _ = open_chat(driver)
    await chat.delete()
    driver.outbound.clear()
    for call in (lambda: chat.send(b"x"), chat.rekey, lambda: chat.wait(lambda: False)):
        with pytest.raises(HermesError, match="ended: DELETED"):
            await call()
    await chat.delete()
    assert not driver.outbound
    driver.close()
    client = HermesClient("node.example:8443", tls=PLAIN)
    await client.close()
    with pytest.raises(HermesError, match="opened once"):
        async with client:
            pass
