"""Fronts of real nodes: chats through them, and what happens when one is killed, stopped, or loses its owner."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hermes_client.scenario.local_mesh import LocalMesh, LocalMeshError
from hermes_core.endpoint.events import ChatReady, MessagesAcked
from tests.support.nodes import QUICK, ask_admin, read_log, wait_logged, wait_ready, wait_shown, wait_until
from tests.support.raw_app import RawApp

KILLED_WITHIN_S = 8.0
"""Three ticks of a second, and a machine that is busy."""
MOST_AHEAD = 128
"""Messages without an acknowledgement: half of an app's window, which a busy machine would let fill up."""


@asynccontextmanager
async def fronted(fronts: int, *, nodes: int = 1, app_tls: bool = True) -> AsyncIterator[LocalMesh]:
    async with LocalMesh(nodes, app_tls=app_tls, settings={**QUICK, "app": {"fronts": fronts}}) as mesh:
        await wait_ready(mesh)
        yield mesh


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(*pids: int, within_s: float = 5.0) -> None:
    async def gone() -> bool:
        return not any(map(runs, pids))

    await wait_until(gone, within_s)


async def count(mesh: LocalMesh, metric: str) -> float:
    _, answer = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    lines = [line for line in answer["text"].splitlines() if line.startswith(f"{metric} ")]
    return float(lines[0].rpartition(" ")[2])


class Talk:
    """Two apps that say numbers to each other, over whatever happens to their streams."""

    def __init__(self, mesh: LocalMesh) -> None:
        self.one = RawApp(mesh.nodes[0].app, mesh.ca_file if mesh.app_tls else None)
        self.two = RawApp(mesh.nodes[-1].app, mesh.ca_file if mesh.app_tls else None)
        self.said: list[bytes] = []
        self.chat: Any = None

    async def __aenter__(self) -> Self:
        await self.one.__aenter__()
        await self.two.__aenter__()
        await self.one.wait_found(self.two)
        self.chat = await self.one.start_chat(self.two)
        await self.one.wait_event(ChatReady)
        await self.two.wait_event(ChatReady)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.one.__aexit__(None, None, None)
        await self.two.__aexit__(None, None, None)

    async def say(self, amount: int) -> None:
        for number in range(len(self.said), len(self.said) + amount):
            await self._until_acked(number - MOST_AHEAD)
            self.said.append(b"%d" % number)
            await self.one.say(self.chat, self.said[-1])

    async def _until_acked(self, amount: int) -> None:
        await self.one.wait(lambda: amount <= max((e.seq for e in self.one.events if isinstance(e, MessagesAcked)), default=0))

    async def all_came(self) -> None:
        await self.two.wait(lambda: len(self.two.contents()) >= len(self.said))
        assert self.two.contents() == self.said


@pytest.mark.parametrize(("fronts", "app_tls"), [(1, True), (2, True), (1, False)], ids=["one", "two", "plain"])
async def test_apps_chat_through_fronts_which_the_node_tells_of(fronts: int, app_tls: bool) -> None:
    async with fronted(fronts, app_tls=app_tls) as mesh:
        node = mesh.nodes[0]
        async with Talk(mesh) as talk:
            await talk.say(300)
            await talk.all_came()
            assert len(children(node.pid)) == fronts
            assert await count(mesh, "hermes_fronts") == fronts
            assert await count(mesh, 'hermes_front_link_frames_total{direction="in"}') > 10
            assert await count(mesh, "hermes_sessions_active") == 2
        assert json.loads((node.folder / "ready.json").read_text())["fronts"] == fronts
        started = [record for record in read_log(node) if record["event"] == "front_started"]
        assert {record["pid"] for record in started} == set(children(node.pid))
        pids = children(node.pid)
        assert await mesh.stop(0) == 0
        await until_gone(*pids)
        assert [record["reason"] for record in read_log(node) if record["event"] == "front_ended"] == ["stopped"] * fronts
        await mesh.start(0)


async def test_a_front_that_is_killed_under_traffic_costs_its_streams_only() -> None:
    async with fronted(1) as mesh:
        node = mesh.nodes[0]
        async with Talk(mesh) as talk:
            await talk.say(100)
            (front,) = children(node.pid)
            os.kill(front, signal.SIGKILL)
            ended = await wait_logged(node, "front_ended", reason="exited")
            assert ended["streams"] == 2
            assert ended["detail"] == "signal 9"
            await talk.one.reconnect()
            await talk.two.reconnect()
            await talk.say(100)
            await talk.all_came()
        assert await count(mesh, 'hermes_front_ends_total{reason="exited"}') == 1
        assert node.process is not None
        assert node.process.poll() is None
        assert children(node.pid) != [front]


async def test_a_front_that_does_not_answer_is_killed_and_another_one_serves() -> None:
    async with fronted(1) as mesh:
        node = mesh.nodes[0]
        (front,) = children(node.pid)
        os.kill(front, signal.SIGSTOP)
        await until_gone(front, within_s=KILLED_WITHIN_S)
        await wait_logged(node, "front_ended", reason="unanswered")
        async with Talk(mesh) as talk:  # who came meanwhile waited in the queue of the listening socket
            await talk.say(10)
            await talk.all_came()


async def test_fronts_end_with_their_owner() -> None:
    async with fronted(2) as mesh:
        pids = children(mesh.nodes[0].pid)
        os.kill(pids[0], signal.SIGSTOP)  # one that cannot see it
        await mesh.kill(0)
        await until_gone(*pids)
        await mesh.start(0)


async def test_a_port_in_use_is_an_error_with_fronts_as_well(tmp_path: Path) -> None:
    async with fronted(2) as mesh:
        other = LocalMesh(1, folder=tmp_path, settings={**QUICK, "app": {"fronts": 2}})
        other._prepare()
        other.nodes[0].app = mesh.nodes[0].app
        with pytest.raises(LocalMeshError, match=r"LISTEN_FAILED: app\.listen"):
            await other._start_once(other.nodes[0])


async def test_health_and_reflection_are_answered_through_a_front() -> None:
    async with fronted(1, app_tls=False) as mesh, grpc.aio.insecure_channel(mesh.nodes[0].app) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request: Any = health_pb2
        for _ in range(40):  # more than the few streams that come before a proof
            answer = await stub.Check(request.HealthCheckRequest(service="hermes.v2.AppRouter"))
            assert answer.status == request.HealthCheckResponse.SERVING
        watch = stub.Watch(request.HealthCheckRequest(service=""))
        assert (await watch.read()).status == request.HealthCheckResponse.SERVING


async def test_new_certificates_reach_fronts() -> None:
    async with fronted(1) as mesh:
        (front,) = children(mesh.nodes[0].pid)
        assert mesh._authority is not None
        before = (mesh.folder / "local-0.crt").read_bytes()
        await wait_shown(mesh.nodes[0], mesh.folder / "local-0.crt")
        mesh._authority.issue_node("local-0")
        assert (mesh.folder / "local-0.crt").read_bytes() != before
        await wait_logged(mesh.nodes[0], "certificate_reloaded")
        await wait_shown(mesh.nodes[0], mesh.folder / "local-0.crt")  # the owner looks once a second
        async with Talk(mesh) as talk:
            await talk.say(10)
            await talk.all_came()
        assert children(mesh.nodes[0].pid) == [front]
