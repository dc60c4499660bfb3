"""Honest nodes with apps that chat all the time, a liar among them, and the third party that its descriptors lead to."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hermes_client import ClientTls, HermesClient
from hermes_client.scenario import local_mesh
from hermes_client.scenario.delivery import deliver
from hermes_client.scenario.local_mesh import LocalMesh, LocalMeshError, LocalNode
from hermes_client.scenario.pair import BrokenPromiseError, ChatPair
from hermes_core.errors import HermesError
from tests.liar.checks import Findings, Standings, check_logs, check_metrics, read_resident
from tests.liar.node import LIES, LiarOptions
from tests.support.nodes import ask_admin, wait_ready

HONEST: Final = 3
LIAR: Final = "local-15"
"""Between the first honest name and the second: of two nodes the one with the lower name dials, so it dials and is dialled."""
PACE_S: Final = 0.05
HANDSHAKE_S: Final = 30.0
SETTLE_S: Final = 60.0
THIRD_PARTIES: Final = 50
NEW_CHAT_EVERY_S: Final = 2.0
NEW_CHAT_MESSAGES: Final = 3
LOOK_EVERY_S: Final = 0.25
GROWTH_BYTES: Final = 96 * 2**20
"""Of an honest node's resident memory: stores and tables that are empty at first fill up to their bounds."""


@dataclass(frozen=True, slots=True)
class Options:
    """`rate`: lies a second, besides those in what the liar says anyhow."""

    seconds: float
    seed: int
    membership: str
    rate: float = 30.0
    fronts: int = 0


@dataclass(slots=True)
class ThirdParty:
    """Listens where descriptors of the liar lead, knows nothing of the mesh, and counts."""

    addresses: tuple[str, ...] = ()
    connections: int = 0

    async def meet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await asyncio.sleep(0.1)
        finally:  # also of those that come as the world ends
            writer.close()


class LiarMesh(LocalMesh):
    """The liar is its first node: the others' only seed, and honest until they have found each other."""

    def _prepare(self) -> None:
        super()._prepare()
        folder = self.folder / "liar"
        folder.mkdir()
        self.nodes[0] = LocalNode(LIAR, folder, self._build_settings(LIAR, folder), module="tests.liar.node")

    @property
    def liar(self) -> LocalNode:
        return self.nodes[0]

    @property
    def honest(self) -> list[LocalNode]:
        return self.nodes[1:]

    @property
    def begin(self) -> Path:
        return self.folder / "begin"


@dataclass(slots=True)
class Chats:
    """What goes on between honest apps. Chat `index` is between the apps at home on honest nodes `index` and the next one."""

    clients: list[HermesClient]
    pairs: list[ChatPair]
    findings: Findings
    begun: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def keep_talking(self, pair: ChatPair) -> None:
        while True:
            await pair.send(1, PACE_S)

    async def watch(self, pair: ChatPair) -> None:
        try:
            await pair.wait_broken()
        except HermesError as error:
            self.findings.broken.append(f"an honest chat: {error!r}")

    async def begin_others(self, draw: random.Random) -> None:
        """New chats begin, carry a few messages and are deleted."""
        while True:
            first, second = draw.sample(self.clients, 2)
            try:
                pair = await ChatPair.establish(first, second, deliver, HANDSHAKE_S)
                try:
                    async with asyncio.timeout(HANDSHAKE_S):
                        await pair.send(NEW_CHAT_MESSAGES)
                        await pair.settle()
                        await pair.end_chat()
                finally:
                    await pair.close()
                self.begun += 1
            except (HermesError, TimeoutError) as error:
                self.findings.broken.append(f"a new honest chat: {error!r}")
            await asyncio.sleep(NEW_CHAT_EVERY_S)


async def run_liar(options: Options, folder: Path) -> Findings:
    findings = Findings()
    third = ThirdParty()
    async with AsyncExitStack() as held:
        for _ in range(THIRD_PARTIES):
            server = await asyncio.start_server(third.meet, "127.0.0.1", 0)
            held.push_async_callback(_close, server)
            third.addresses += (f"127.0.0.1:{server.sockets[0].getsockname()[1]}",)
        mesh = await held.enter_async_context(_start_mesh(options, folder, third.addresses))
        chats = await _start_chats(mesh, held, findings)
        resident = {node.node_id: read_resident(node.pid) for node in mesh.honest}
        mesh.begin.write_text("\n".join(pair.ends[0].chat.chat_id.hex() for pair in chats.pairs))
        lied_from = time.monotonic()
        await _lie_for(options, mesh, chats, findings)
        await _settle(chats, findings)
        findings.seconds = time.monotonic() - lied_from
        await _look_at_nodes(mesh, resident, findings)
        check_logs(mesh.honest, LIAR, findings)
        findings.messages = sum(pair.received for pair in chats.pairs)
        findings.chats = chats.begun
        findings.third_party = third.connections
        findings.lies = _read_lies(mesh.liar)
        findings.judge(HONEST)
    return findings


@asynccontextmanager
async def _start_mesh(options: Options, folder: Path, third_parties: tuple[str, ...]) -> AsyncIterator[LiarMesh]:
    mesh_settings = {**local_mesh.FAST_SETTINGS["mesh"], "membership": options.membership}
    mesh = LiarMesh(HONEST + 1, folder=folder, settings={"mesh": mesh_settings, "app": {"fronts": options.fronts}})
    (folder / "liar").mkdir(parents=True, exist_ok=True)
    told = LiarOptions(options.seed, LIAR, options.rate, third_parties, str(mesh.begin))
    prepare = mesh._prepare

    def prepare_and_tell() -> None:
        (folder / "liar").rmdir()
        prepare()
        told.write(mesh.liar.folder)

    mesh._prepare = prepare_and_tell  # type: ignore[method-assign]
    async with mesh:
        await wait_ready(mesh)
        yield mesh


async def _start_chats(mesh: LiarMesh, held: AsyncExitStack, findings: Findings) -> Chats:
    tls = ClientTls(ca_file=mesh.ca_file)
    clients = [await held.enter_async_context(HermesClient(node.app, tls=tls)) for node in mesh.honest]
    at_liar = await held.enter_async_context(HermesClient(mesh.liar.app, tls=tls))
    pairs = []
    for index, client in enumerate(clients):
        pair = await ChatPair.establish(client, clients[(index + 1) % HONEST], deliver, HANDSHAKE_S)
        held.push_async_callback(pair.close)
        pairs.append(pair)
    chats = Chats(clients, pairs, findings)
    held.push_async_callback(_end, chats.tasks)
    chats.tasks += [asyncio.create_task(chats.watch(pair)) for pair in pairs]
    for client in clients:  # chats whose one node is the liar: what comes of them is its own affair
        pair = await ChatPair.establish(at_liar, client, deliver, HANDSHAKE_S)
        held.push_async_callback(pair.close)
        chats.tasks.append(asyncio.create_task(_talk_with_liar(pair)))
    return chats


async def _talk_with_liar(pair: ChatPair) -> None:
    with suppress(HermesError):
        while True:
            await pair.send(1, 10 * PACE_S)


async def _look_at_nodes(mesh: LiarMesh, resident: dict[str, int], findings: Findings) -> None:
    """Memory and metrics of honest nodes."""
    for index, node in enumerate(mesh.nodes):
        if node is mesh.liar:
            continue
        if node.process is None or node.process.poll() is not None:
            findings.broken.append(f"{node.node_id} has ended")
            continue
        grown = read_resident(node.pid) - resident[node.node_id]
        findings.grown = max(findings.grown, grown)
        if grown > GROWTH_BYTES:
            findings.broken.append(f"{node.node_id} has grown by {grown // 2**20} MiB")
        _, told = await ask_admin(mesh, index, "GET", "/mesh/members")
        findings.names = max(findings.names, len(told["members"]))
        _, metrics = await ask_admin(mesh, index, "GET", "/metrics", token=None)
        check_metrics(metrics["text"], findings)


async def _ask_standings(mesh: LiarMesh, standings: Standings) -> None:
    while True:
        for index, node in enumerate(mesh.nodes):
            if node is not mesh.liar:
                _, told = await ask_admin(mesh, index, "GET", "/mesh/members")
                standings.take(node.node_id, told["members"], time.monotonic())
        await asyncio.sleep(LOOK_EVERY_S)


async def _lie_for(options: Options, mesh: LiarMesh, chats: Chats, findings: Findings) -> None:
    work = [asyncio.create_task(chats.keep_talking(pair)) for pair in chats.pairs]
    beginning = asyncio.create_task(chats.begin_others(random.Random(options.seed)))
    standings = Standings(frozenset(node.node_id for node in mesh.honest), findings)
    looking = asyncio.create_task(_ask_standings(mesh, standings))
    until = time.monotonic() + options.seconds
    try:
        while time.monotonic() < until:
            before = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)
            findings.late_s = max(findings.late_s, time.monotonic() - before - LOOK_EVERY_S)
            await _keep_lying(mesh, findings)
    finally:
        await _end([*work, beginning, looking])
    for task in (*work, beginning, looking):
        if not task.cancelled() and (error := task.exception()) is not None:
            findings.broken.append(f"what goes on between honest ones ended: {error!r}")


async def _keep_lying(mesh: LiarMesh, findings: Findings) -> None:
    """Its own lies come back to it, and it may end by one."""
    process = mesh.liar.process
    if process is not None and process.poll() is not None:
        findings.restarts += 1
        mesh.liar.process = None
        with suppress(LocalMeshError):
            await mesh.start(0)


async def _settle(chats: Chats, findings: Findings) -> None:
    """What was said arrives while the liar goes on."""
    for pair in chats.pairs:
        try:
            async with asyncio.timeout(SETTLE_S):
                await pair.settle()
        except TimeoutError:
            findings.broken.append(f"an honest chat stands still: {pair.describe_backlog()}")
        except (BrokenPromiseError, HermesError) as error:
            findings.broken.append(f"an honest chat: {error!r}")


def _read_lies(node: LocalNode) -> Counter[str]:
    lines = (node.folder / LIES).read_text().splitlines()
    return Counter(json.loads(line)[2] for line in lines if line.endswith("]"))


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close(server: asyncio.Server) -> None:
    server.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await server.wait_closed()
