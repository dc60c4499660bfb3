"""The client library against real nodes: what an app's author relies on."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest

from hermes_client import PLAIN, Chat, ChatEndedError, ClientTls, ConnectError, HermesClient
from hermes_client.scenario.certificates import LocalAuthority
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import derive_app_id
from hermes_core.limits import WINDOW_MESSAGES
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES
from hermes_ctl.chat.chat_log import ChatLog
from hermes_ctl.chat.conversation import Conversation
from tests.support.nodes import ask_admin, wait_until

DEADLINE_S = 60

pytestmark = pytest.mark.timeout(DEADLINE_S)


@contextlib.asynccontextmanager
async def _two_clients(mesh: LocalMesh) -> AsyncIterator[tuple[HermesClient, HermesClient]]:
    """The first at home on the first node, the second on the last."""
    addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)
    async with HermesClient(addresses, tls=tls) as first, HermesClient(addresses[::-1], tls=tls) as second:
        await first.wait_for_app(second.app_id)
        yield first, second


async def _accept(client: HermesClient) -> Chat:
    async for offer in client.offers():
        return await offer.accept()
    raise AssertionError("the client was closed")


async def _chat(first: HermesClient, second: HermesClient) -> tuple[Chat, Chat]:
    accepting = asyncio.create_task(_accept(second))
    started = await first.start_chat(second.app_id)
    return started, await accepting


async def _take(chat: Chat, count: int) -> list[bytes]:
    contents: list[bytes] = []
    async for message in chat:
        contents.append(message.content)
        if len(contents) == count:
            message.ack()  # nobody asks for the next one
            break
    return contents


async def test_two_nodes_windows_rekeys_limits_and_the_end() -> None:
    async with LocalMesh(2) as mesh, _two_clients(mesh) as (first, second):
        here, there = await _chat(first, second)

        # Sizes: empty, the largest, one past it.
        await here.send(b"")
        await here.send(bytes(MAX_CONTENT_BYTES))
        assert [len(content) for content in await _take(there, 2)] == [0, MAX_CONTENT_BYTES]
        with pytest.raises(ProtocolError) as refused:
            await here.send(bytes(MAX_CONTENT_BYTES + 1))
        assert refused.value.code is ErrorCode.INVALID_FRAME

        # A receiver that does not read stops its sender at the window, and only this chat.
        other_here, other_there = await _chat(first, second)
        await here.drain()
        sender = asyncio.create_task(_send_numbers(here, WINDOW_MESSAGES + 44))
        await there.wait(lambda: len(there.inbox) == WINDOW_MESSAGES)
        assert here.unacknowledged == WINDOW_MESSAGES
        assert not sender.done()
        await other_here.send(b"not stalled")
        assert await _take(other_there, 1) == [b"not stalled"]
        assert len(there.inbox) == WINDOW_MESSAGES
        numbers = await _take(there, WINDOW_MESSAGES + 44)
        assert numbers == [str(number).encode() for number in range(WINDOW_MESSAGES + 44)]
        await sender
        await here.drain()
        assert here.unacknowledged == 0

        # Rekeys that cross end in one epoch for both.
        assert [*await asyncio.gather(here.rekey(), there.rekey())] == [2, 2]
        await there.send(b"after the rekey")
        assert await _take(here, 1) == [b"after the rekey"]

        # Deleting one chat ends it for both, and leaves the other alone.
        await here.delete()
        assert await there.wait_ended() is CloseReason.DELETED_BY_PEER
        assert [message async for message in there] == []
        with pytest.raises(ChatEndedError):
            await there.send(b"too late")
        await other_there.send(b"still here")
        assert await _take(other_here, 1) == [b"still here"]


async def test_one_node_refusals_and_a_client_that_leaves() -> None:
    async with LocalMesh(1) as mesh, _two_clients(mesh) as (first, second):
        stranger = derive_app_id(Identity.generate().public_key)
        with pytest.raises(ProtocolError) as unknown:
            await first.start_chat(stranger)
        assert unknown.value.code is ErrorCode.TARGET_NOT_FOUND
        assert str(unknown.value).endswith("nobody with this app id has connected so far; check it")

        rejecting = asyncio.create_task(_reject(second))
        with pytest.raises(ProtocolError) as rejected:
            await first.start_chat(second.app_id)
        assert rejected.value.code is ErrorCode.LIMIT_EXCEEDED
        await rejecting

        # Wrong trust: another CA, and no TLS where there is TLS.
        other_ca = mesh.folder / "other"
        other_ca.mkdir()
        for tls in (ClientTls(ca_file=LocalAuthority(other_ca).ca_file), PLAIN):
            with pytest.raises(ConnectError):
                async with HermesClient(mesh.nodes[0].app, tls=tls, connect_timeout_s=0.5):
                    pass

        # A client that closes takes its chats with it, and says so.
        async with HermesClient(mesh.nodes[0].app, tls=ClientTls(ca_file=mesh.ca_file)) as guest:
            _, left_behind = await _chat(guest, second)
        assert await left_behind.wait_ended() is CloseReason.DELETED_BY_PEER


async def test_whoever_starts_more_chats_than_may_wait_has_them_all_in_time() -> None:
    """The node admits four that wait: the others are told when to try again, and the client does."""
    few = {"limits": {"max_handshakes_per_app": 4, "handshake_refill_s": 0.01}}
    async with LocalMesh(1, settings=few) as mesh, _two_clients(mesh) as (first, second):
        starting = asyncio.gather(*(first.start_chat(second.app_id) for _ in range(8)))
        offers = second.offers()
        waiting = [await anext(offers) for _ in range(4)]
        await wait_until(lambda: is_refused(mesh, "LIMIT_EXCEEDED"))
        taking = {asyncio.create_task(offer.accept()) for offer in waiting}
        taking |= {asyncio.create_task((await anext(offers)).accept()) for _ in range(4)}
        assert len(await asyncio.gather(*taking)) == len(await starting) == 8


async def is_refused(mesh: LocalMesh, code: str) -> bool:
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    return re.search(rf'^hermes_router_errors_total{{code="{code}"}} [1-9]', metrics["text"], re.MULTILINE) is not None


async def test_a_client_with_chats_waits_for_its_home_and_deletes_reach_a_node_that_was_away() -> None:
    async with LocalMesh(2) as mesh, _two_clients(mesh) as (first, second):
        here, there = await _chat(first, second)
        gone, gone_there = await _chat(first, second)
        home = first.home
        await mesh.kill(0)
        await here.wait(lambda: not here.up)
        seq = await here.send(b"written while the node is down")
        await gone.delete()  # nobody can be told now
        assert gone.ended is CloseReason.DELETED
        await mesh.start(0)
        assert await _take(there, 1) == [b"written while the node is down"]
        await here.drain()
        assert (here.acknowledged, here.resumes, first.home) == (seq, 1, home)
        assert await gone_there.wait_ended() is CloseReason.DELETED_BY_PEER


async def test_two_terminals_have_a_conversation() -> None:
    async with LocalMesh(1, app_tls=False) as mesh:
        address = mesh.nodes[0].app
        async with HermesClient(address, tls=PLAIN) as first, HermesClient(address, tls=PLAIN) as second:
            caller_says: list[str] = []
            callee_says: list[str] = []
            here, there = await _chat(first, second)
            caller = Conversation(first, here, ChatLog(None), caller_says.append, kept=False)
            callee = Conversation(second, there, ChatLog(None), callee_says.append, kept=False)
            heard = asyncio.Event()

            async def call_lines() -> AsyncIterator[str]:
                yield "hello\n"
                yield "/name callee\n"
                yield "/name two words\n"
                yield "/rekey\n"
                yield "/status\n"
                yield "escape \x1b[31m me\n"
                await heard.wait()
                yield "/delete\n"

            async def answer_lines() -> AsyncIterator[str]:
                while not any("escape" in line for line in callee_says):  # noqa: ASYNC110 - what is shown has no event
                    await asyncio.sleep(0.01)
                heard.set()
                await asyncio.Event().wait()
                yield ""

            await asyncio.gather(caller.run(call_lines()), callee.run(answer_lines()))
            name = first.app_id[:8]
    assert f"{name}> hello" in callee_says
    assert f"{name}> escape �[31m me" in callee_says
    assert "* new keys: epoch 2" in callee_says
    assert callee_says[-1] == "* the chat is over (DELETED_BY_PEER), its keys are wiped"
    assert any(line.startswith("* epoch 2, path up, home local-0") for line in caller_says)
    assert {"  ✓ 1 sent", "  ✓✓ 1 taken", f"* {here.peer} is callee"} <= set(caller_says)
    assert "* /name NAME: one word of at most 32 characters" in caller_says


async def _send_numbers(chat: Chat, count: int) -> None:
    for number in range(count):
        await chat.send(str(number).encode())


async def _reject(client: HermesClient) -> None:
    async for offer in client.offers():
        offer.reject(ErrorCode.LIMIT_EXCEEDED)
        return
