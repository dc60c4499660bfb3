"""Chats through real nodes: on one node, over two, across SIGKILL, and with nothing left after they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatEnded, ChatReady, ChatRekeyed, ChatResumed, PathChanged
from hermes_core.protocol.messages import CloseReason
from tests.support.nodes import QUICK, ask_admin, read_log, restart, wait_ready, wait_until
from tests.support.raw_app import RawApp


@pytest.fixture
async def own_mesh() -> AsyncIterator[LocalMesh]:
    """Two nodes that the test may kill."""
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        yield two


def numbered(prefix: str, start: int, end: int) -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(start, end)]


async def count_chats(mesh: LocalMesh, index: int) -> int:
    status, ratchets = await ask_admin(mesh, index, "GET", "/crypto/ratchets")
    assert status == 200
    return int(ratchets["total"])


@pytest.mark.parametrize("second_node", [0, 1], ids=["one-node", "two-nodes"])
async def test_messages_flow_both_ways_in_order_and_end_leaves_nothing(mesh: LocalMesh, second_node: int) -> None:
    async with (
        RawApp(mesh.nodes[0].app, mesh.ca_file) as one,
        RawApp(mesh.nodes[second_node].app, mesh.ca_file) as two,
    ):
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await two.wait_event(ChatReady)
        there, back = numbered("m", 0, 300), numbered("r", 0, 300)
        await asyncio.gather(one.say(chat, *there[:200]), two.say(chat, *back[:200]))
        await two.wait(lambda: len(two.contents()) >= 200)
        await one.do(lambda now: one.chats.rekey(chat, now))
        assert (await one.wait_event(ChatRekeyed)).epoch == 2
        await asyncio.gather(one.say(chat, *there[200:]), two.say(chat, *back[200:]))
        await two.wait(lambda: two.contents() == there)
        await one.wait(lambda: one.contents() == back)
        await one.do(lambda now: one.chats.delete(chat, now))
        assert (await two.wait_event(ChatEnded)).reason is CloseReason.DELETED_BY_PEER
        for index in (0, second_node):
            await wait_until(lambda index=index: is_empty(mesh, index))  # type: ignore[misc]


async def is_empty(mesh: LocalMesh, index: int) -> bool:
    return await count_chats(mesh, index) == 0


@pytest.mark.parametrize("victim", [0, 1], ids=["initiators-node", "other-node"])
async def test_a_chat_over_two_nodes_survives_sigkill(own_mesh: LocalMesh, victim: int) -> None:
    mesh = own_mesh
    async with (
        RawApp(mesh.nodes[0].app, mesh.ca_file) as one,
        RawApp(mesh.nodes[1].app, mesh.ca_file) as two,
    ):
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await two.wait_event(ChatReady)
        await one.say(chat, *numbered("m", 0, 40))
        await two.wait(lambda: len(two.contents()) == 40)
        harmed = (one, two)[victim]
        mark = len(one.events)
        await mesh.kill(victim)
        await harmed.wait(harmed.ended.is_set)
        # Said while the node is down: kept, and sent when the path is up again.
        if victim == 1:
            await one.wait(lambda: any(isinstance(e, PathChanged) and not e.up for e in one.events[mark:]))
            await one.say(chat, *numbered("m", 40, 60))
        await mesh.start(victim)
        await harmed.reconnect()
        await harmed.wait_event(ChatResumed)
        await one.say(chat, *numbered("m", 60 if victim == 1 else 40, 80))
        await two.say(chat, *numbered("r", 0, 20))
        await two.wait(lambda: two.contents() == numbered("m", 0, 80))
        await one.wait(lambda: one.contents() == numbered("r", 0, 20))


async def test_an_app_that_was_away_hears_of_the_end_even_after_its_node_was_killed(own_mesh: LocalMesh) -> None:
    mesh = own_mesh
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[1].app, mesh.ca_file) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await two.wait_event(ChatReady)
        await two.disconnect()
        await one.do(lambda now: one.chats.delete(chat, now))
        await wait_until(lambda: is_empty(mesh, 1))
        await restart(mesh, 1)
        await two.reconnect()
        assert (await two.wait_event(ChatEnded)).reason is CloseReason.DELETED_BY_PEER


async def test_chats_of_a_killed_node_are_all_restored_with_a_higher_incarnation(own_mesh: LocalMesh) -> None:
    mesh = own_mesh
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[0].app, mesh.ca_file) as two:
        chats = [await one.start_chat(two) for _ in range(20)]
        await two.wait(lambda: sum(isinstance(event, ChatReady) for event in two.events) == 20)
        await restart(mesh, 0)
        await one.reconnect()
        await two.reconnect()
        await one.wait(lambda: sum(isinstance(event, ChatResumed) for event in one.events) == 20)
        for chat in chats:
            await one.say(chat, b"on " + chat)
        await two.wait(lambda: sorted(two.contents()) == sorted(b"on " + chat for chat in chats))
    unsealed = [record["incarnation"] for record in read_log(mesh.nodes[0]) if record["event"] == "keystore_unsealed"]
    assert len(unsealed) == 2
    assert unsealed[0] < unsealed[1]


async def test_logs_of_a_chat_hold_no_id_in_full_and_no_content(own_mesh: LocalMesh) -> None:
    mesh = own_mesh
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[1].app, mesh.ca_file) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await one.say(chat, b"for her eyes only")
        await two.wait(two.contents)
        for node in mesh.nodes:
            text = node.log_path.read_text()
            assert one.app_id[:8] in text or two.app_id[:8] in text
            for secret in (one.app_id, two.app_id, chat.hex(), "her eyes", mesh.passphrase, mesh.admin_token):
                assert secret not in text
