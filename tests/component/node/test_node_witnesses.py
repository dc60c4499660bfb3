"""Other nodes as witnesses: a volume that was put back is noticed without an operator, before any chat of it goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_core.endpoint.events import ChatReady, ChatRekeyed
from hermes_core.ids import ChatId
from hermes_core.mesh.opening_check import SEND_EVERY_S
from tests.support.nodes import QUICK, ask_admin, read_log, wait_logged, wait_ready
from tests.support.raw_app import RawApp
from tests.support.volumes import copy_volume, put_back

WAIT_S = 3.0
SETTINGS = {**QUICK, "mesh": {**QUICK.get("mesh", {}), "opening_wait_s": WAIT_S}}


async def talk(first: RawApp, second: RawApp, chat: ChatId, content: bytes) -> None:
    await first.say(chat, content)
    await second.wait(lambda: second.contents()[-1:] == [content])


def logged(node: LocalNode, event: str) -> list[dict[str, object]]:
    return [record for record in read_log(node) if record["event"] == event]


async def chat_states(mesh: LocalMesh, index: int) -> list[str]:
    _, ratchets = await ask_admin(mesh, index, "GET", "/crypto/ratchets")
    return [chat["state"] for chat in ratchets["chats"]]


@pytest.mark.parametrize("late", [False, True], ids=["there at the opening", "back later"])
async def test_a_volume_that_was_put_back_is_noticed_by_the_other_nodes(tmp_path: Path, late: bool) -> None:
    async with LocalMesh(3, settings=SETTINGS) as mesh:
        await wait_ready(mesh)
        node, elsewhere = mesh.nodes[0], mesh.nodes[1]
        async with RawApp(node.app, mesh.ca_file) as first, RawApp(node.app, mesh.ca_file) as second:
            chat = await first.start_chat(second)
            await first.wait_event(ChatReady)
            await talk(first, second, chat, b"before")
            await mesh.stop(0)
            copy_volume(node, tmp_path / "image")
            await mesh.start(0)
            await first.reconnect(node.app)
            await second.reconnect(node.app)
            await talk(first, second, chat, b"lost")
            await asyncio.sleep(2 * SEND_EVERY_S)  # what was committed since the last mark is what a rollback can hide
            await mesh.kill(0)
            put_back(node, tmp_path / "image")
            if late:
                for index in (1, 2):
                    os.kill(mesh.nodes[index].pid, signal.SIGSTOP)
            await mesh.start(0)
            if late:
                await wait_logged(node, "opening_unverified")
                assert not logged(node, "rollback_detected")
                for index in (1, 2):
                    os.kill(mesh.nodes[index].pid, signal.SIGCONT)
            await wait_logged(node, "rollback_detected")
            if not late:
                assert await chat_states(mesh, 0) == ["quarantined"]
            await first.reconnect(node.app)
            await second.reconnect(node.app)
            await first.wait_event(ChatRekeyed)
            await talk(first, second, chat, b"healed")
        assert len(logged(node, "rollback_detected")) == 1
        assert not logged(elsewhere, "rollback_detected")


async def test_an_honest_restart_is_verified_and_says_so(tmp_path: Path) -> None:
    async with LocalMesh(2, settings=SETTINGS) as mesh:
        await wait_ready(mesh)
        node = mesh.nodes[0]
        async with RawApp(node.app, mesh.ca_file) as first, RawApp(node.app, mesh.ca_file) as second:
            chat = await first.start_chat(second)
            await first.wait_event(ChatReady)
            for restart in range(3):
                await talk(first, second, chat, b"%d" % restart)
                await mesh.kill(0)
                await mesh.start(0)
                await first.reconnect(node.app)
                await second.reconnect(node.app)
            await talk(first, second, chat, b"last")
        assert len(logged(node, "opening_verified")) >= 3
        assert not logged(node, "rollback_detected")
        assert not logged(node, "opening_unverified")
