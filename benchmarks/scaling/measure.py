"""The costs of a mesh of real node processes on this machine: of an app, a chat, an opening, a message, and of another node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.scaling.nodes import Used, look, look_at_all
from hermes_client import Chat, ClientTls, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh, LocalNode, Settings

DEFAULTS: Final[Settings] = {"mesh": {"heartbeat_interval_s": 1.0, "dead_after_s": 15.0}, "log": {"level": "warning"}}
"""A local mesh beats faster than one in production."""
CONTENT: Final = bytes(1024)
TIMEOUT_S: Final = 60.0
OPENED_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; the more, the less noise. `settle_s`: how long nodes are left alone before they are looked at."""

    apps: int = 60
    chats: int = 1200
    pairs: int = 64
    seconds: float = 10.0
    more_nodes: int = 6
    settle_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one node. Bytes of memory and disk; seconds of CPU.

    `message_*`: of both nodes together, for one message of 1 KiB with its acknowledgement between apps of two nodes: alone in
    its chat, the next one when it is acknowledged, and as many as the window lets out. `one_node_*`: both are at home on one.
    """

    base_memory: float
    app_memory: float
    chat_memory: float
    chat_disk: float
    opening_cpu: float
    message_alone: float
    message_batched: float
    one_node_alone: float
    one_node_batched: float
    peer_memory: float
    idle_cpu: float


async def measure(sizes: Sizes) -> Costs:
    async with LocalMesh(2, settings=DEFAULTS) as mesh:
        await asyncio.sleep(sizes.settle_s)
        bare = look(mesh.nodes[0])
        idle = await _idle(mesh.nodes, 2 * sizes.settle_s)
        before = look_at_all(mesh.nodes)
        async with _clients(mesh, sizes.apps) as apps:
            with_apps = look_at_all(mesh.nodes) - before
            left, right = apps[: sizes.apps // 2], apps[sizes.apps // 2 :]
            opened = look_at_all(mesh.nodes)
            chats = await _open(left, right, sizes.chats)
            with_chats = look_at_all(mesh.nodes) - opened
            pairs = chats[: sizes.pairs]
            batched = await _cost(mesh.nodes, pairs, sizes, alone=False)  # first: what chats reserve at their beginning is past
            alone = await _cost(mesh.nodes, pairs, sizes, alone=True)
    one_alone, one_batched = await _one_node(sizes)
    return Costs(
        base_memory=bare.memory,
        app_memory=with_apps.memory / sizes.apps,
        chat_memory=with_chats.memory / 2 / sizes.chats,
        chat_disk=with_chats.disk / 2 / sizes.chats,
        opening_cpu=with_chats.cpu_s / 2 / sizes.chats,
        message_alone=alone,
        message_batched=batched,
        one_node_alone=one_alone,
        one_node_batched=one_batched,
        peer_memory=await _peer_memory(bare, sizes),
        idle_cpu=idle,
    )


async def _idle(nodes: list[LocalNode], seconds: float) -> float:
    before, began = look_at_all(nodes), time.monotonic()
    await asyncio.sleep(seconds)
    return (look_at_all(nodes) - before).cpu_s / (time.monotonic() - began) / len(nodes)


async def _one_node(sizes: Sizes) -> tuple[float, float]:
    async with LocalMesh(1, settings=DEFAULTS) as mesh, _clients(mesh, sizes.apps) as apps:
        pairs = await _open(apps[: sizes.apps // 2], apps[sizes.apps // 2 :], sizes.pairs)
        batched = await _cost(mesh.nodes, pairs, sizes, alone=False)
        return await _cost(mesh.nodes, pairs, sizes, alone=True), batched


async def _peer_memory(of_two: Used, sizes: Sizes) -> float:
    """Of one more node that this one is linked with."""
    async with LocalMesh(sizes.more_nodes, settings=DEFAULTS) as mesh:
        await asyncio.sleep(2 * sizes.settle_s)
        return (look(mesh.nodes[0]).memory - of_two.memory) / (sizes.more_nodes - 2)


@asynccontextmanager
async def _clients(mesh: LocalMesh, count: int) -> AsyncIterator[list[HermesClient]]:
    """The first half at home on the first node, the others on the last."""
    tls = ClientTls(ca_file=mesh.ca_file)
    async with AsyncExitStack() as stack:
        apps = []
        for index in range(count):
            node = mesh.nodes[0] if index < count // 2 else mesh.nodes[-1]
            apps.append(await stack.enter_async_context(HermesClient(node.app, tls=tls)))
        yield apps


async def _open(left: Sequence[HermesClient], right: Sequence[HermesClient], count: int) -> list[tuple[Chat, Chat]]:
    """Chats of apps of one half with apps of the other, in turns."""
    places = asyncio.Semaphore(OPENED_AT_ONCE)
    answered: dict[bytes, asyncio.Future[Chat]] = {}

    async def answer(app: HermesClient) -> None:
        async for offer in app.offers():
            chat = await offer.accept(TIMEOUT_S)
            answered.setdefault(chat.chat_id, asyncio.get_running_loop().create_future()).set_result(chat)

    async def call(index: int) -> tuple[Chat, Chat]:
        async with places:
            ours, theirs = left[index % len(left)], right[(index + index // len(left)) % len(right)]
            await ours.wait_for_app(theirs.app_id, TIMEOUT_S)
            chat = await ours.start_chat(theirs.app_id, TIMEOUT_S)
            other = answered.setdefault(chat.chat_id, asyncio.get_running_loop().create_future())
            return chat, await asyncio.wait_for(other, TIMEOUT_S)

    answering = [asyncio.create_task(answer(app)) for app in right]
    try:
        return list(await asyncio.gather(*(call(index) for index in range(count))))
    finally:
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


async def _cost(nodes: list[LocalNode], pairs: Sequence[tuple[Chat, Chat]], sizes: Sizes, *, alone: bool) -> float:
    """Seconds of CPU of all nodes, for a message that was taken and acknowledged."""
    ends_at = time.monotonic() + sizes.seconds
    received = 0

    async def take(chat: Chat) -> None:
        nonlocal received
        async for _ in chat:
            received += 1

    async def send(chat: Chat) -> None:
        while time.monotonic() < ends_at:
            await chat.send(CONTENT, TIMEOUT_S)
            if alone:
                await chat.drain(TIMEOUT_S)
        await chat.drain(TIMEOUT_S)

    taking = [asyncio.create_task(take(theirs)) for _, theirs in pairs]
    before = look_at_all(nodes)
    await asyncio.gather(*(send(ours) for ours, _ in pairs))
    used = look_at_all(nodes) - before
    for task in taking:
        task.cancel()
    await asyncio.gather(*taking, return_exceptions=True)
    return used.cpu_s / received
