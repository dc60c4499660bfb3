"""The operator as a witness: it hands back what it holds, outside of rollouts too, and its word is as good as other nodes'."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatReady, ChatRekeyed
from hermes_core.keystore.mark import encode_mark, parse_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_proto.v2 import admin_pb2
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready
from tests.support.raw_app import RawApp
from tests.support.volumes import copy_volume, put_back

SETTINGS = {**QUICK, "mesh": {**QUICK["mesh"], "opening_wait_s": 300.0, "witness_wait_s": 300.0}}


async def read_mark(mesh: LocalMesh) -> bytes:
    _, report = await ask_admin(mesh, 0, "GET", "/resume")
    return base64.b64decode(report["mark"])


async def hand_back(mesh: LocalMesh, mark: bytes) -> dict[str, Any]:
    body = admin_pb2.HandedBack(node_id=mesh.nodes[0].node_id, mark=mark)
    status, report = await ask_admin(mesh, 0, "POST", "/resume/mark", body=body)
    assert status == 200, report
    return report


async def states(mesh: LocalMesh) -> list[str]:
    _, ratchets = await ask_admin(mesh, 0, "GET", "/crypto/ratchets")
    return [it["state"] for it in ratchets["chats"]]


@pytest.mark.parametrize("newer", [False, True], ids=["it holds nothing newer", "only it kept the newer mark"])
async def test_chats_wait_for_the_operator_when_no_node_can_be_asked(tmp_path: Path, newer: bool) -> None:
    async with LocalMesh(2, settings=SETTINGS) as mesh:
        await wait_ready(mesh)
        node = mesh.nodes[0]
        async with RawApp(node.app, mesh.ca_file) as first, RawApp(node.app, mesh.ca_file) as second:
            chat = await first.start_chat(second)
            await first.wait_event(ChatReady)
            mark = await read_mark(mesh)
            await mesh.stop(0)
            copy_volume(node, tmp_path / "image")
            os.kill(mesh.nodes[1].pid, signal.SIGSTOP)  # before it hears of the next opening
            try:
                if newer:
                    await mesh.start(0)
                    mark = await read_mark(mesh)
                    await mesh.kill(0)
                    put_back(node, tmp_path / "image")
                await mesh.start(0)
                await first.reconnect(node.app)
                await second.reconnect(node.app)
                if not newer:
                    report = await hand_back(mesh, b"")
                    assert (report["verdict"], report["opening"]) == ("RESUMED", "verified")
                else:
                    _, before = await ask_admin(mesh, 0, "GET", "/resume")
                    assert before["opening"] == "waiting"
                    report = await hand_back(mesh, mark)
                    assert (report["verdict"], report["opening"]) == ("ROLLED_BACK", "verified")
                    assert (report["rolled_back"], report["live_chats"]) == (1, 1)
                    assert "later state" in report["detail"]
                    await wait_logged(node, "rollback_detected")
                    await first.wait_event(ChatRekeyed)
                    again = await hand_back(mesh, mark)
                    assert again["verdict"] == "RESUMED", "one rollback is judged once"
                    assert (again["rolled_back"], "judged before" in again["detail"]) == (0, True)
                await first.say(chat, b"on it goes")
                await second.wait(lambda: second.contents()[-1:] == [b"on it goes"])
            finally:
                os.kill(mesh.nodes[1].pid, signal.SIGCONT)


async def test_what_the_node_did_not_sign_proves_nothing() -> None:
    async with LocalMesh(1, settings=QUICK) as mesh:
        await wait_ready(mesh)
        node = mesh.nodes[0]
        async with RawApp(node.app, mesh.ca_file) as first, RawApp(node.app, mesh.ca_file) as second:
            await first.start_chat(second)
            await first.wait_event(ChatReady)
            own = parse_mark(await read_mark(mesh))
            ahead = KeystoreMark(own.generation, own.commit_counter + 1000)
            foreign = encode_mark(sign_mark(Identity.generate(), b"x" * 16, ahead))
            report = await hand_back(mesh, foreign)
            assert (report["verdict"], report["rolled_back"]) == ("RESUMED", 0)
            assert "another node's" in report["detail"]
            assert "has been" in (await hand_back(mesh, encode_mark(own)))["detail"]
            for wrong in (own.node_key + foreign[32:], foreign[:-1]):
                body = admin_pb2.HandedBack(node_id=node.node_id, mark=wrong)
                status, _ = await ask_admin(mesh, 0, "POST", "/resume/mark", body=body)
                assert status == 400
            status, _ = await ask_admin(mesh, 0, "POST", "/resume/mark", body=admin_pb2.HandedBack(node_id="node-9", mark=b""))
            assert status == 400
            assert await states(mesh) == ["active"]
