"""HermesClient's connection: proof, reconnect, choice of node, heartbeat, refusals, close; against a scripted node."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hermes_client.backoff import Backoff
from hermes_client.client import HermesClient
from hermes_client.errors import ClientClosedError, ConnectError
from hermes_client.tls import PLAIN
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId, derive_app_id
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import AppFound, Challenge, Connect, FindApp, Heartbeat, NodeChange
from hermes_core.session.control import TAG_BYTES, Tagged
from tests.support.sessions import NodeEnd
from tests.unit.hermes_client.scripted_node import Link, ScriptedNode

DEADLINE_S = 10.0


def _client(*nodes: ScriptedNode | str, identity: Identity | None = None, timeout_s: float = DEADLINE_S) -> HermesClient:
    addresses = [node if isinstance(node, str) else node.address for node in nodes]
    return HermesClient(
        addresses,
        identity=identity,
        tls=PLAIN,
        backoff=Backoff(base_s=0.01, cap_s=0.05),
        connect_timeout_s=timeout_s,
    )


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nothing announces what is waited for
            await asyncio.sleep(0.005)


async def test_connects_proves_its_identity_and_closes_its_half_in_order() -> None:
    ended = asyncio.Event()

    async def script(link: Link) -> None:
        await link.hold()
        ended.set()

    identity = Identity.generate()
    async with ScriptedNode("node-0", script) as node:
        given = identity.copy()
        unopened = _client(node, identity=given)
        given.wipe()  # its owner may: the client has its own
        async with unopened as client:
            assert client.app_id == derive_app_id(identity.public_key)
            assert client.connected
            assert client.home == "node-0"
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        with pytest.raises(ClientClosedError):
            _ = client.driver


async def test_comes_back_after_the_stream_and_after_the_node_was_gone() -> None:
    async with ScriptedNode("node-0") as node, _client(node) as client:
        client.reconnect()
        await _until(lambda: client.connections == 2 and client.connected)
        await node.stop()
        await _until(lambda: not client.connected)
        await node.start()
        await client.wait_connected(DEADLINE_S)
        assert client.connections == 3


async def test_goes_to_another_node_when_the_first_cannot_be_reached() -> None:
    async with ScriptedNode("node-1") as node, _client("127.0.0.1:1", node) as client:
        assert client.home == "node-1"


async def test_says_why_it_could_not_connect() -> None:
    with pytest.raises(ConnectError, match=r"not connected after 0 s: 127\.0\.0\.1:1: UNAVAILABLE"):
        async with _client("127.0.0.1:1", timeout_s=0.4):
            pass


async def test_answers_heartbeats_and_asks_for_them_when_the_node_is_silent() -> None:
    seen: list[Heartbeat] = []

    async def script(link: Link) -> None:
        await link.write(Heartbeat(77, reply=False))
        while len(seen) < 2:
            for message in await link.read():
                assert isinstance(message, Heartbeat)
                seen.append(message)
                if not message.reply:
                    await link.write(Heartbeat(message.sequence, reply=True))
        await link.hold()

    async with ScriptedNode("node-0", script, heartbeat_ms=50) as node, _client(node):
        await _until(lambda: len(seen) >= 2)
    assert seen[0] == Heartbeat(77, reply=True)
    assert seen[1] == Heartbeat(1, reply=False)


async def test_what_came_in_one_batch_with_connected_is_not_lost() -> None:
    seen: list[Heartbeat] = []

    async def script(link: Link) -> None:
        while batch := await link.read():
            seen.extend(message for message in batch if isinstance(message, Heartbeat))

    async with ScriptedNode("node-0", script, with_connected=[Heartbeat(5, reply=False)]) as node, _client(node):
        await _until(lambda: seen == [Heartbeat(5, reply=True)])


async def test_leaves_a_node_that_has_gone_silent() -> None:
    async def script(link: Link) -> None:
        await link.hold()

    async with ScriptedNode("node-0", script, heartbeat_ms=20) as node, _client(node) as client:
        await _until(lambda: client.connections >= 2)
        assert "silent" in str(client._open_keeper.last_error)


async def test_a_node_that_leaves_sends_its_apps_to_another() -> None:
    async def script(link: Link) -> None:
        await link.write(NodeChange(1000))
        await link.hold()

    async with ScriptedNode("node-0", script) as leaving, ScriptedNode("node-1") as staying:
        async with _client(leaving, staying) as client:
            await _until(lambda: client.home == "node-1" and client.connected)
        assert leaving.connects == 1


async def test_what_was_said_last_reaches_a_node_that_leaves() -> None:
    """The end of a chat, perhaps: it is queued when the node says that it goes, and nobody would say it again elsewhere."""
    heard: list[object] = []
    last = FindApp(derive_app_id(Identity.generate().public_key))

    async def script(link: Link) -> None:
        await link.write(NodeChange(1000))
        while batch := await link.read():
            heard.extend(batch)

    async with (
        ScriptedNode("node-0", script) as leaving,
        ScriptedNode("node-1") as staying,
        _client(leaving, staying) as client,
    ):
        session = client._open_keeper.session
        assert session is not None
        client.driver.owes_delete = True
        for number in range(2_000):  # more than one batch: it takes a while
            session._send_control(Heartbeat(number, reply=True))
        session._send_control(last)
        session.leave()
        await _until(lambda: client.home == "node-1" and client.connected)
        assert leaving.connects == 1, "it was heard to the end, so that there is nothing to go back for"
    assert last in heard


async def test_find_app_gives_what_the_directory_knows() -> None:
    other = derive_app_id(Identity.generate().public_key)

    async def script(link: Link) -> None:
        batch = await link.read()
        assert batch == [FindApp(other)]
        await link.write(AppFound(other, online=True, node_id=NodeId("node-9")))
        await link.hold()

    async with ScriptedNode("node-0", script) as node, _client(node) as client:
        found = await client.find_app(other)
        assert found == AppFound(other, online=True, node_id=NodeId("node-9"))


async def test_look_ups_that_were_refused_for_now_are_made_again_once() -> None:
    others = [derive_app_id(Identity.generate().public_key) for _ in range(3)]
    asked: list[AppId] = []

    async def script(link: Link) -> None:
        while batch := await link.read():
            for message in batch:
                if not isinstance(message, FindApp):
                    continue
                asked.append(message.app_id)
                if len(asked) == len(others):  # all at once, so that none is asked again before the last one was asked
                    notice = ErrorNotice(ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, None, "", 20)
                    await link.write(*[notice] * len(others))
                elif len(asked) > len(others):
                    await link.write(AppFound(message.app_id, online=False, node_id=None))

    async with ScriptedNode("node-0", script) as node, HermesClient([node.address], tls=PLAIN) as client:
        found = await asyncio.gather(*(client.find_app(other) for other in others))
    assert [each.app_id for each in found] == others
    assert sorted(asked) == sorted(others * 2)


async def test_a_refusal_of_the_stream_is_the_reason_that_is_told() -> None:
    async def refuse(link: Link) -> None:
        await link.write(ErrorNotice(ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM, None, "full house", 0))

    async with ScriptedNode("node-0", opening=refuse) as node:
        with pytest.raises(ConnectError, match="LIMIT_EXCEEDED: the node says: full house"):
            async with _client(node, timeout_s=0.4):
                pass


@pytest.mark.parametrize("code", list(ErrorCode))
@pytest.mark.parametrize("after_connect", [False, True])
async def test_what_is_said_before_the_proof_is_a_hint(code: ErrorCode, after_connect: bool) -> None:
    """Anybody on the way can say it: the client tries again, and connects as soon as it is let."""
    refusals = 0

    async def refuse(link: Link) -> None:
        nonlocal refusals
        refusals += 1
        if after_connect:
            await link.write(NodeEnd(NodeId("node-0"), node.identity).challenge)
            await link.read()
        await link.write_raw(ErrorNotice(code, ErrorScope.STREAM, None, "made up", 2**32 - 1))

    async with ScriptedNode("node-0", opening=refuse) as node:

        async def relent() -> None:
            await _until(lambda: refusals >= 3)
            node.opening = None

        relenting = asyncio.create_task(relent())
        async with _client(node) as client:
            assert client.connections == 1
        await relenting


async def test_settings_that_the_node_did_not_sign_are_not_believed() -> None:
    async def forge(link: Link) -> None:
        end = NodeEnd(NodeId("node-0"), node.identity)
        await link.write(end.challenge)
        for connect in await link.read():  # none when the client's time was over just then
            assert isinstance(connect, Connect)
            connected, _ = end.accept(connect)
            await link.write(dataclasses.replace(connected, heartbeat_interval_ms=1))
            assert not await link.read(), "the client went on"

    async with ScriptedNode("node-0", opening=forge) as node:
        with pytest.raises(ConnectError, match="AUTH_FAILED"):
            async with _client(node, timeout_s=0.4):
                pass


@pytest.mark.parametrize("make", [lambda: NodeChange(1), lambda: Tagged(NodeChange(1), bytes(TAG_BYTES))])
async def test_what_a_session_did_not_say_ends_its_stream_and_moves_nobody(make: Callable[[], Any]) -> None:
    async def script(link: Link) -> None:
        if node.connects == 1:
            await link.write_raw(make())
        await link.hold()

    async with ScriptedNode("node-0", script) as node, ScriptedNode("node-1") as other, _client(node, other) as client:
        await _until(lambda: client.connections == 2)
        assert client.home == "node-0" or other.connects
        assert isinstance(client._open_keeper.last_error, ProtocolError)
        assert client._open_keeper.last_error.code is ErrorCode.AUTH_FAILED


async def test_a_node_key_that_is_no_key_is_refused_before_anything_is_signed() -> None:
    async def forge(link: Link) -> None:
        await link.write(Challenge(NodeId("node-0"), bytes(32), bytes(32), bytes(32), b"\x01"))
        assert not await link.read(), "the client answered"

    async with ScriptedNode("node-0", opening=forge) as node:
        with pytest.raises(ConnectError, match="INVALID_KEY"):
            async with _client(node, timeout_s=0.4):
                pass


async def test_what_is_not_the_protocol_ends_the_stream_not_the_client() -> None:
    calls = [0]

    async def script(link: Link) -> None:
        calls[0] += 1
        if calls[0] == 1:
            await link.write_raw(
                Challenge(NodeId("node-0"), bytes(32), bytes(32), bytes(32), b"\x01")
            )  # a second challenge makes no sense
        await link.hold()

    async with ScriptedNode("node-0", script) as node, _client(node) as client:
        await _until(lambda: client.connections == 2)
        assert isinstance(client._open_keeper.last_error, ProtocolError)
        assert client._open_keeper.last_error.code is ErrorCode.AUTH_FAILED
