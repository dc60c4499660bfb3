"""A node's front that somebody has taken over gets none of its node's secrets and reaches nothing of it but their link.

Each attempt is made by a front without confinement too, where it succeeds: otherwise it would show nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_front.process.landlock import read_version
from tests.support.hostile_front import DONE, ORDER
from tests.support.nodes import QUICK
from tests.support.raw_app import RawApp

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or read_version() < 6, reason="this kernel cannot take all of these rights from a process"
)
DEADLINE_S = 30.0
REFUSED = {"PermissionError: Permission denied", "PermissionError: Operation not permitted"}


class MeshWithHostileFronts(LocalMesh):
    def _prepare(self) -> None:
        super()._prepare()
        for node in self.nodes:
            node.module = "tests.support.node_with_hostile_fronts"


class Commander:
    """Who took the front over, from outside."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: Any = channel.stream_stream(ORDER)()

    async def order(self, name: str, *arguments: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            await self._call.write(json.dumps([name, *arguments]).encode())
            answer = await self._call.read()
        assert answer is not grpc.aio.EOF, await self._call.details()
        return json.loads(answer)


@asynccontextmanager
async def taken_over(mesh: LocalMesh, node: LocalNode) -> AsyncIterator[Commander]:
    credentials = grpc.ssl_channel_credentials(mesh.ca_file.read_bytes())
    async with grpc.aio.secure_channel(node.app, credentials) as channel:
        yield Commander(channel)


def of_memory(node: LocalNode) -> set[tuple[Any, ...]]:
    """A node lets nobody but the superuser, whoever else its front may be."""
    files = {("read", f"/proc/{node.pid}/{name}") for name in ("environ", "maps", "mem")}
    return files | {("attach", node.pid), ("take a descriptor", node.pid)}


def attempts(mesh: LocalMesh, node: LocalNode) -> list[tuple[Any, ...]]:
    folder, pid = node.folder, node.pid
    files = [folder / "keystore.db", mesh.folder / "passphrase", mesh.folder / "admin-token", folder / "node.toml"]
    files += [mesh.folder / f"{node.node_id}.key"]
    at: list[tuple[Any, ...]] = [("read", str(path)) for path in files]
    at += sorted(of_memory(node))
    at += [("append", str(folder / "keystore.db")), ("make", str(folder / "new")), ("list", str(folder))]
    at += [("change mode", str(mesh.folder / "passphrase")), ("look", str(folder / "keystore.db")), ("execute", "/bin/true")]
    at += [("signal", pid), ("limit", pid), ("slow", pid)]
    at += [("send UDP", "127.0.0.1", 9), ("listen",), ("let all wait",)]
    for address in (node.admin, node.mesh):
        host, _, port = address.rpartition(":")
        at.append(("dial", host, int(port)))
    return at


@pytest.mark.parametrize("how", ["confined", "unconfined"])
async def test_what_it_tries(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "tests.support.hostile_front" + ("" if how == "confined" else ".unconfined")
    monkeypatch.setenv("TEST_FRONT", module)
    settings = {**QUICK, "app": {"fronts": 1}}
    async with MeshWithHostileFronts(1, settings=settings) as mesh:
        node = mesh.nodes[0]
        async with taken_over(mesh, node) as commander:
            results = {attempt: await commander.order(*attempt) for attempt in attempts(mesh, node)}
            if how == "unconfined":
                failed = {attempt for attempt, result in results.items() if result != DONE}
                assert failed <= (set() if os.getuid() == 0 else of_memory(node))
                await mesh.kill(0)  # which somebody attached to: it would end no other way
                return
            assert set(results.values()) <= REFUSED
            assert {*await commander.order("environment")} <= {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
            assert await commander.order("descriptors") == []
            app = RawApp(node.app, mesh.ca_file)
            await app.connect()
            await app.close()
