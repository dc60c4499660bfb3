"""Floods by strangers on a real node, in short: its memory is bounded, and honest apps go on.

How long their messages take is printed and not judged: it says as much of the machine's load as of the node.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from hermes_client import ClientTls, HermesClient
from hermes_client.chat import Chat
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.tls import PLAIN, PlainText
from tests.component.transport.bars import BAR
from tests.support.nodes import QUICK, ask_admin, read_log, wait_ready

pytestmark = BAR

FLOOD_S: Final = 4.0
SETTLE_S: Final = 1.0
MORE_KIB: Final = 32 * 1024
INTERVAL_S: Final = 0.02
MOST_LINES: Final = 400
"""Of one event in a flood: a burst, and its steady rate."""

SETTINGS = {**QUICK, "app": {"transport": "hermes"}}
PLAIN_KINDS = ("continuation", "continuation_after_data", "tiny_headers", "reset", "ping", "settings", "idle")
TLS_KINDS = ("continuation", "reset", "idle", "handshakes")
# Of those that a few frames give away: a busy machine comes to no more in that time.
REFUSED_AS = {
    "continuation": {"header_block"},
    "continuation_after_data": {"header_block"},
    "ping": {"control_frames"},
    "settings": {"control_frames"},
    "idle": {"connections"},
}


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


class Honest:
    """Two apps that talk at a steady pace all the time."""

    def __init__(self, chat: Chat, other: Chat) -> None:
        self._chat = chat
        self._other = other
        self.seconds: list[float] = []

    async def send(self) -> None:
        while True:
            await self._chat.send(b"%.6f" % time.monotonic())
            await asyncio.sleep(INTERVAL_S)

    async def receive(self) -> None:
        async for message in self._other:
            self.seconds.append(time.monotonic() - float(message.content))

    def take(self) -> str:
        """p50 and p99 of what came since the last time, in milliseconds."""
        seconds, self.seconds = sorted(self.seconds), []
        assert seconds, "honest messages go on"
        return f"p50 {seconds[len(seconds) // 2] * 1e3:.1f} p99 {seconds[len(seconds) * 99 // 100] * 1e3:.1f} ms"


@asynccontextmanager
async def talking(mesh: LocalMesh, tls: ClientTls | PlainText) -> AsyncIterator[Honest]:
    address = mesh.nodes[0].app
    async with HermesClient(address, tls=tls) as one, HermesClient(address, tls=tls) as two:
        await one.wait_for_app(two.app_id)
        starting = asyncio.create_task(one.start_chat(two.app_id))
        offer = await anext(aiter(two.offers()))
        other = await offer.accept()
        honest = Honest(await starting, other)
        tasks = [asyncio.create_task(honest.send()), asyncio.create_task(honest.receive())]
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


@pytest.mark.parametrize(
    ("kind", "tls"), [(kind, False) for kind in PLAIN_KINDS] + [(kind, True) for kind in TLS_KINDS],
    ids=[*PLAIN_KINDS, *(f"{kind}_over_tls" for kind in TLS_KINDS)],
)  # fmt: skip
async def test_a_flood_costs_little_and_nobody_else_notices(kind: str, tls: bool) -> None:
    async with LocalMesh(1, settings=SETTINGS, app_tls=tls) as mesh:
        await wait_ready(mesh)
        node = mesh.nodes[0]
        async with talking(mesh, ClientTls(ca_file=mesh.ca_file) if tls else PLAIN) as honest:
            await asyncio.sleep(SETTLE_S)
            before, calm = resident_kib(node.pid), honest.take()
            peak = [before]
            watching = asyncio.create_task(watch(node.pid, peak))
            arguments = [
                "-m",
                "tests.component.transport.flood",
                kind,
                node.app,
                str(FLOOD_S),
                str(mesh.ca_file) if tls else "",
            ]
            process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
            output, _ = await process.communicate()
            flooded = honest.take()
            watching.cancel()
        _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
        counted = dict(re.findall(r'hermes_app_connections_refused_total\{kind="(\w+)"\} (\d+)', metrics["text"]))
        refused = {name: int(number) for name, number in counted.items() if int(number)}
        print(f"{kind}: {json.loads(output)}; RSS {before // 1024} -> {peak[0] // 1024} MiB; {calm} -> {flooded}; {refused}")
        assert peak[0] - before <= MORE_KIB
        if not tls and kind in REFUSED_AS:
            assert REFUSED_AS[kind] <= set(refused)
        lines = [record for record in read_log(node) if record["event"] == "app_connection_refused"]
        assert len(lines) <= MOST_LINES
