"""Whoever ends TLS between an app and its node, over real streams and a real node: no chat ends or changes by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hermes_client import PLAIN, Backoff, Chat, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.tls import ClientTls
from hermes_core.endpoint.params import AppParams
from hermes_core.ids import NodeId
from tests.simulation.adversary import ABILITIES
from tests.support.middle import TlsEndingMiddle

DEADLINE_S = 40.0
MESSAGES = 40
QUICKLY = AppParams(resume_retry_s=0.5, retransmit_s=0.5)


@pytest.fixture
async def middle(mesh: LocalMesh) -> AsyncIterator[TlsEndingMiddle]:
    async with TlsEndingMiddle(mesh.nodes[0].app, mesh.ca_file) as between:
        yield between


def make_client(address: str, mesh: LocalMesh | None) -> HermesClient:
    tls = PLAIN if mesh is None else ClientTls(ca_file=mesh.ca_file)
    return HermesClient([address], tls=tls, params=QUICKLY, backoff=Backoff(base_s=0.02, cap_s=0.1))


async def open_chat(one: HermesClient, two: HermesClient) -> tuple[Chat, Chat]:
    await one.wait_for_app(two.app_id)

    async def accept() -> Chat:
        async for offer in two.offers():
            return await offer.accept()
        raise AssertionError("the client closed")

    accepting = asyncio.create_task(accept())
    return await one.start_chat(two.app_id), await accepting


async def say(chat: Chat, name: str) -> None:
    for number in range(MESSAGES):
        await chat.send(f"{name} {number}".encode())
        await asyncio.sleep(0.03)


async def hear(chat: Chat) -> list[str]:
    heard: list[str] = []
    async for message in chat:
        heard.append(message.content.decode())
        if len(heard) == MESSAGES:
            message.ack()  # nobody asks for the next one
            break
    return heard


@pytest.mark.parametrize("ability", sorted(ABILITIES))
async def test_nothing_ends_and_everything_arrives_once(mesh: LocalMesh, middle: TlsEndingMiddle, ability: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        make_client(middle.address, None) as one,
        make_client(mesh.nodes[0].app, mesh) as two,
    ):
        ours, theirs = await open_chat(one, two)
        talking = [asyncio.create_task(say(chat, name)) for chat, name in ((ours, "one"), (theirs, "two"))]
        hearing = [asyncio.create_task(hear(chat)) for chat in (theirs, ours)]
        middle.attack(ability, seed=7)
        middle.cut()  # so that the handshake is among what it gets
        await asyncio.sleep(1.5)
        assert middle.changed, "the middle did nothing"
        middle.stop()
        await asyncio.gather(*talking)
        for name, heard in zip(("one", "two"), await asyncio.gather(*hearing), strict=True):
            assert heard == [f"{name} {number}" for number in range(MESSAGES)]


async def test_a_node_key_of_its_own_ends_nothing_and_hears_of_nothing(mesh: LocalMesh, middle: TlsEndingMiddle) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        make_client(middle.address, None) as one,
        make_client(mesh.nodes[0].app, mesh) as two,
    ):
        ours, theirs = await open_chat(one, two)
        for name in (one.home, NodeId("elsewhere")):
            middle.poses_as, posed = name, middle.posed
            middle.cut()
            while middle.posed < posed + 5:  # noqa: ASYNC110 - nothing tells that a client has dialled
                await asyncio.sleep(0.02)
            assert middle.connects_heard == 0, "an app with chats hangs up before Connect"
            assert one.driver.live_chats() == [ours]
        middle.stop()
        _, heard = await asyncio.gather(say(ours, "one"), hear(theirs))
        assert heard == [f"one {number}" for number in range(MESSAGES)]
