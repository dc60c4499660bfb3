"""Real nodes that find each other by SWIM: joining, a death, a return, a departure, a pause, and chats between their apps."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, SettingValue
from hermes_core.endpoint.events import ChatEnded, ChatReady
from hermes_core.mesh.opening_check import SEND_EVERY_S
from tests.support.nodes import ask_admin, last_line, read_log, run_node, running_node, wait_logged, wait_ready, wait_until
from tests.support.raw_app import RawApp

PERIOD_S = 0.3
SETTINGS: Mapping[str, Mapping[str, SettingValue]] = {
    "mesh": {"membership": "swim", "heartbeat_interval_s": PERIOD_S, "route_idle_s": 1.0},
    "cleanup": {"drain_timeout_s": 1.0},
}


@pytest.fixture
async def mesh() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(4, settings=SETTINGS) as four:
        await wait_ready(four)
        yield four


async def find_states(mesh: LocalMesh, at: int) -> dict[str, str]:
    _, seen = await ask_admin(mesh, at, "GET", "/mesh/members")
    return {member["node_id"]: member["state"] for member in seen["members"]}


async def wait_state(mesh: LocalMesh, of: int, state: str) -> None:
    """Until every other node that runs says so."""
    others = [index for index, node in enumerate(mesh.nodes) if index != of and node.process is not None]

    async def agreed() -> bool:
        name = mesh.nodes[of].node_id
        return all([(await find_states(mesh, at)).get(name) == state for at in others])

    await wait_until(agreed)


async def test_a_member_that_is_killed_is_found_dead_comes_back_and_leaves(mesh: LocalMesh) -> None:
    await mesh.kill(3)
    await wait_state(mesh, 3, "dead")
    await mesh.start(3)
    await wait_ready(mesh)
    await mesh.stop(3)
    await wait_state(mesh, 3, "left")
    await mesh.kill(0)  # the only seed that the others started with: they know each other without it
    await wait_state(mesh, 0, "dead")
    await mesh.start(3)
    await wait_ready(mesh)
    for node in mesh.nodes:
        assert not [line for line in read_log(node) if line["event"] == "unexpected_error"]


async def test_who_stood_still_buries_nobody_and_is_taken_back(mesh: LocalMesh) -> None:
    os.kill(mesh.nodes[1].pid, signal.SIGSTOP)
    await asyncio.sleep(5.0)
    os.kill(mesh.nodes[1].pid, signal.SIGCONT)
    await wait_ready(mesh)
    told = [line for line in read_log(mesh.nodes[1]) if line["event"] == "peer_state" and line["after"] == "dead"]
    assert told == []


async def test_incarnations_are_reserved_ahead_so_that_a_start_is_above_all_that_were_signed(mesh: LocalMesh) -> None:
    _, before = await ask_admin(mesh, 2, "GET", "/mesh/members")
    await mesh.kill(2)
    await mesh.start(2)
    await wait_ready(mesh)
    _, after = await ask_admin(mesh, 2, "GET", "/mesh/members")
    first, second = (next(int(m["incarnation"]) for m in seen["members"] if m.get("self")) for seen in (before, after))
    assert second >= first + 64 - 4, "whatever it refuted meanwhile"


async def find_routes(mesh: LocalMesh, at: int) -> float:
    _, metrics = await ask_admin(mesh, at, "GET", "/metrics", token=None)
    return float(re.findall(r'^hermes_mesh_links\{purpose="chats"\} (\S+)', metrics["text"], re.MULTILINE)[0])


async def test_a_stream_for_chats_stands_while_a_chat_needs_it_and_closes_when_idle(mesh: LocalMesh) -> None:
    async with RawApp(mesh.nodes[1].app, mesh.ca_file) as one, RawApp(mesh.nodes[2].app, mesh.ca_file) as two:
        await one.wait_found(two)
        assert await find_routes(mesh, 1) == 0
        for _ in range(2):  # the second time it is dialled anew
            chat = await one.start_chat(two)
            await two.wait_event(ChatReady)
            await one.say(chat, b"over")
            await two.wait(lambda: two.contents()[-1:] == [b"over"])

            async def stands() -> bool:
                return await find_routes(mesh, 1) == await find_routes(mesh, 2) == 1

            await wait_until(stands)
            await one.do(partial(one.chats.delete, chat))
            await two.wait_event(ChatEnded)

            async def closed() -> bool:
                return await find_routes(mesh, 1) == await find_routes(mesh, 2) == 0

            await wait_until(closed)
            one.events.clear()
            two.events.clear()


def copy_node(mesh: LocalMesh, index: int, folder: Path, seeds: list[str]) -> dict[str, dict[str, SettingValue]]:
    """The settings of a second process with a node's keystore, at addresses of its own."""
    node = mesh.nodes[index]
    shutil.copytree(node.folder, folder, ignore=shutil.ignore_patterns("*.lock", "ready.json", "node.log"))
    settings = {section: dict(values) for section, values in node.settings.items()}
    settings["node"]["data_dir"] = str(folder)
    settings["keystore"]["path"] = str(folder / "keystore.db")
    for section in ("app", "mesh", "admin"):
        settings[section]["listen"] = "127.0.0.1:0"
    settings["mesh"]["seeds"] = list(seeds)
    return settings


async def test_who_finds_its_own_key_alive_before_it_has_met_all_ends_and_the_other_one_goes_on(
    mesh: LocalMesh, tmp_path: Path
) -> None:
    first = mesh.nodes[0]
    settings = copy_node(mesh, 0, tmp_path / "copy", [first.mesh, mesh.nodes[1].mesh])
    ended = await asyncio.to_thread(run_node, settings, tmp_path)
    assert ended.returncode == 83, ended.stderr
    assert "IDENTITY_CONFLICT" in last_line(ended.stderr)
    told = await wait_logged(first, "second_self_met")
    assert told["reason"] == "the other one is newer, and gives way"

    async def is_counted() -> bool:
        _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
        return 'hermes_mesh_lies_total{lie="two_selves"} 1.0' in metrics["text"]

    await wait_until(is_counted)
    assert first.process is not None
    assert first.process.poll() is None
    await wait_ready(mesh)


@pytest.mark.parametrize("policy", ["exit", "quarantine"])
async def test_copies_that_give_way_convict_the_original_of_nothing(policy: str, tmp_path: Path) -> None:
    """A copy's later incarnation and mark are as good a proof of a rollback as any, where somebody hears of them.

    A few seeds are asked at a time, so that it may be welcomed before it asks the one that leads to the original.
    """
    async with LocalMesh(4, settings={**SETTINGS, "keystore": {"on_rollback": policy}}) as mesh:
        await wait_ready(mesh)
        first, others = mesh.nodes[0], [node.mesh for node in mesh.nodes[1:]]
        for name in ("one", "two"):
            settings = copy_node(mesh, 0, tmp_path / name, [*others, first.mesh])
            ended = await asyncio.to_thread(run_node, settings, tmp_path)
            assert ended.returncode == 83, ended.stderr
        await mesh.stop(0)  # whatever others hold of it, they hand back when it starts
        await mesh.start(0)
        await wait_ready(mesh)
        await wait_logged(first, "opening_verified")
        assert not [line for line in read_log(first) if line["event"] == "rollback_detected"]
        assert not [line for line in read_log(first) if line["event"] == "node_failed"]


async def test_an_older_folder_that_is_put_back_is_still_found(mesh: LocalMesh) -> None:
    """The mesh has heard of a later run than the folder has."""
    last = mesh.nodes[3]
    await mesh.stop(3)
    older = last.folder.with_name("older")
    shutil.copytree(last.folder, older)
    await mesh.start(3)
    await wait_ready(mesh)
    await asyncio.sleep(2 * SEND_EVERY_S)  # ready is who was welcomed; a run of which no mark left is none to miss
    await mesh.stop(3)
    shutil.rmtree(last.folder)
    older.rename(last.folder)
    await mesh.start(3)
    await wait_logged(last, "rollback_detected")


async def test_two_that_both_serve_under_one_key_both_end(mesh: LocalMesh, tmp_path: Path) -> None:
    """The way from one to the other opens after both have asked all seeds: before that one is newer, and gives way alone."""
    first = mesh.nodes[0]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = copy_node(mesh, 0, tmp_path / "copy", [mesh.nodes[1].mesh, f"127.0.0.1:{port}"])
    with running_node(settings, tmp_path / "copy") as copy:

        async def has_asked_all() -> bool:
            """A link with the other seed says nothing of that: it may stand before its answer."""
            joins = await asyncio.to_thread(count_joins, copy["admin"])
            return all(joins[result] for result in ("success", "failure"))

        await wait_until(has_asked_all)
        async with Forwarding(port, first.mesh):

            async def is_over() -> bool:
                return first.process is not None and first.process.poll() == 83

            await wait_until(is_over)
        assert "IDENTITY_CONFLICT" in (tmp_path / "copy" / "node.log").read_text()
    first.process = None
    await wait_state(mesh, 0, "dead")


def count_joins(admin: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
        found = re.findall(r'^hermes_mesh_joins_total\{result="(\w+)"\} (\S+)', answer.read().decode(), re.MULTILINE)
    return {result: float(count) for result, count in found}


class Forwarding:
    """A port that leads to another address, as a name that resolves to another place later does."""

    def __init__(self, port: int, to: str) -> None:
        self._port = port
        self._host, _, self._to = to.rpartition(":")

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, int(self._to))
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
