"""Floods by strangers on a real node: its memory is bounded, honest apps go on, new chats and new apps find their way.

How long those wait is judged by what the node's thread worked in that time: on a machine that does nothing else the two are
the same, on another one the clock says more of the machine. `make floods` is the short form.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from hermes_client import ClientTls, HermesClient
from hermes_client.chat import Chat
from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_client.tls import PLAIN, PlainText
from tests.support.nodes import QUICK, ask_admin, read_log, wait_ready

LENGTH: Final = os.environ.get("HERMES_FLOODS", "")
"""`short`, or `judged`."""
pytestmark = pytest.mark.skipif(not LENGTH, reason="`make floods` and `make transport` run it")

JUDGED: Final = LENGTH == "judged"
FLOOD_S: Final = 4.0 if JUDGED else 1.5
SETTLE_S: Final = 1.0
MORE_KIB: Final = 32 * 1024
INTERVAL_S: Final = 0.02
BETWEEN_S: Final = 0.2
"""A new app and the next new chat."""
PEERS: Final = 100
MOST_LINES: Final = 400
"""Of one event in a flood: a burst, and its steady rate."""

BARS_MS: Final = {"message": 50.0, "chat": 100.0, "app": 1000.0}
"""A message, a new chat, a new app: p99."""

SETTINGS = {**QUICK, "app": {"transport": "hermes"}}
PLAIN_KINDS = ("continuation", "continuation_after_data", "tiny_headers", "reset", "ping", "settings", "idle")
TLS_KINDS = ("continuation", "tiny_headers", "reset", "idle", "handshakes")
SOURCES = (1, 50) if JUDGED else (50,)
# What each is refused as; the code that is told is always the same.
REFUSED_AS = {
    "continuation": "header_block",
    "continuation_after_data": "header_block",
    "tiny_headers": "header_budget",
    "reset": "streams_before_proof",
    "ping": "control_frames",
    "settings": "control_frames",
    "idle": "connections",
}
SLOW_TO_SHOW = {"tiny_headers", "reset"}
"""What a busy machine does not come to in that time, since strangers have what others leave."""


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


class Waits:
    """Of one kind of things: how long each took by the clock, and of the node's work."""

    def __init__(self, pid: int) -> None:
        self._schedstat = Path(f"/proc/{pid}/schedstat")
        self._found: list[tuple[float, float]] = []

    def begin(self) -> tuple[float, float]:
        return time.monotonic(), int(self._schedstat.read_text().split()[0]) / 1e9

    def end(self, began: tuple[float, float]) -> None:
        clock, worked = self.begin()
        self._found.append((clock - began[0], worked - began[1]))

    def take(self) -> dict[str, float]:
        """Of those since the last time, in milliseconds."""
        clock, worked = ([1e3 * pair[at] for pair in self._found] for at in (0, 1))
        self._found.clear()
        if not worked:
            return {}
        shown = {"clock p50": quantile(clock, 0.5), "clock p99": quantile(clock, 0.99), "p50": quantile(worked, 0.5)}
        return {name: round(ms, 1) for name, ms in (shown | {"p99": quantile(worked, 0.99)}).items()}


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Honest:
    """Two apps that talk at a steady pace and begin chats, and apps that come anew."""

    def __init__(self, node: LocalNode, tls: ClientTls | PlainText, one: HermesClient, two: HermesClient) -> None:
        self._address = node.app
        self._tls = tls
        self._one = one
        self._two = two
        self._sent: dict[bytes, tuple[float, float]] = {}
        """Messages under way whose wait counts: of a moment when this process has nothing else to do."""
        self.arrived = 0
        self._calm = True
        self.messages, self.chats, self.apps = (Waits(node.pid) for _ in range(3))

    async def send(self, chat: Chat) -> None:
        for number in count():
            content = b"%d" % number
            if self._calm:
                self._sent[content] = self.messages.begin()
            await chat.send(content)
            await asyncio.sleep(INTERVAL_S)

    async def receive(self, chat: Chat) -> None:
        async for message in chat:
            self.arrived += 1
            if (began := self._sent.pop(message.content, None)) is not None:
                self.messages.end(began)

    async def accept(self) -> None:
        async for offer in self._two.offers():
            await offer.accept()

    async def begin(self) -> None:
        """A new chat, a new app, and a pause."""
        while True:
            self._calm = False
            self._sent.clear()
            began = self.chats.begin()
            await self._one.start_chat(self._two.app_id)
            self.chats.end(began)
            began = self.apps.begin()
            async with HermesClient(self._address, tls=self._tls) as client:
                await client.wait_connected()
                self.apps.end(began)
            self._calm = True
            await asyncio.sleep(BETWEEN_S)

    def take(self) -> dict[str, dict[str, float]]:
        return {"message": self.messages.take(), "chat": self.chats.take(), "app": self.apps.take()}


@asynccontextmanager
async def talking(mesh: LocalMesh, tls: ClientTls | PlainText) -> AsyncIterator[Honest]:
    node = mesh.nodes[0]
    async with HermesClient(node.app, tls=tls) as one, HermesClient(node.app, tls=tls) as two:
        await one.wait_for_app(two.app_id)
        starting = asyncio.create_task(one.start_chat(two.app_id))
        offer = await anext(aiter(two.offers()))
        other = await offer.accept()
        honest = Honest(node, tls, one, two)
        working = (honest.send(await starting), honest.receive(other), honest.accept(), honest.begin())
        tasks = [asyncio.create_task(work) for work in working]
        try:
            yield honest
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def watch(pid: int, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], resident_kib(pid))
        await asyncio.sleep(0.05)


async def flood(mesh: LocalMesh, kind: str, sources: int, tls: bool) -> dict[str, Any]:
    arguments = ["-m", "tests.component.transport.flood", kind, mesh.nodes[0].app, str(FLOOD_S), str(PEERS), str(sources)]
    if tls:
        arguments.append(str(mesh.ca_file))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.parametrize("sources", SOURCES, ids=lambda sources: f"from_{sources}")
@pytest.mark.parametrize(
    ("kind", "tls"), [(kind, False) for kind in PLAIN_KINDS] + [(kind, True) for kind in TLS_KINDS],
    ids=[*PLAIN_KINDS, *(f"{kind}_over_tls" for kind in TLS_KINDS)],
)  # fmt: skip
async def test_a_flood_costs_little_and_nobody_else_notices(kind: str, tls: bool, sources: int) -> None:
    async with LocalMesh(1, settings=SETTINGS, app_tls=tls) as mesh:
        await wait_ready(mesh)
        node = mesh.nodes[0]
        async with talking(mesh, ClientTls(ca_file=mesh.ca_file) if tls else PLAIN) as honest:
            await asyncio.sleep(SETTLE_S)
            before, calm, arrived = resident_kib(node.pid), honest.take(), honest.arrived
            peak = [before]
            watching = asyncio.create_task(watch(node.pid, peak))
            got = await flood(mesh, kind, sources, tls)
            flooded = honest.take()
            assert honest.arrived > arrived
            watching.cancel()
        _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
        counted = dict(re.findall(r'hermes_app_connections_refused_total\{kind="(\w+)"\} (\d+)', metrics["text"]))
        refused = {name: int(number) for name, number in counted.items() if int(number)}
        print(f"{kind}{' TLS' if tls else ''} from {sources}: {got}; RSS {before // 1024} -> {peak[0] // 1024} MiB; {refused}")
        for name, found in flooded.items():
            print(f"    {name}: calm {calm[name]}, flooded {found}")
        assert peak[0] - before <= MORE_KIB
        if kind in REFUSED_AS:
            expected = {REFUSED_AS[kind]}
            # Who comes again faster than it is refused takes more places than there are, and some are gone before TLS is done.
            besides = {"connections", "tls_left"} - expected
            assert set(refused) - besides == expected or (not refused and kind in SLOW_TO_SHOW)
            assert got["told"] or kind in SLOW_TO_SHOW or kind == "idle"
        assert set(got["told"]) <= {"ENHANCE_YOUR_CALM"}
        lines = [record for record in read_log(node) if record["event"] == "app_connection_refused"]
        assert bool(refused) == bool(lines)
        assert len(lines) <= MOST_LINES
        if JUDGED:
            assert {name for name, bar in BARS_MS.items() if flooded[name]["p99"] > bar} == set()
