"""A node whose keystore is an older copy finds out by itself: its chats are quarantined before any is resumed, or it exits."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, LocalMeshError
from hermes_core.endpoint.events import ChatReady, ChatRekeyed
from hermes_core.errors import KeystoreRolledBackError
from hermes_core.keystore.mark import parse_mark
from hermes_keystore.place import floor_path
from tests.support.nodes import QUICK, ask_admin, read_log, wait_logged, wait_ready
from tests.support.raw_app import RawApp


@pytest.fixture(params=["quarantine", "exit"])
async def solo(request: pytest.FixtureRequest) -> AsyncIterator[LocalMesh]:
    async with LocalMesh(1, settings={**QUICK, "keystore": {"on_rollback": request.param}}) as one:
        await wait_ready(one)
        yield one


def _policy(mesh: LocalMesh) -> object:
    return mesh.nodes[0].settings["keystore"]["on_rollback"]


@pytest.mark.parametrize("lost", ["log", "floor"])
async def test_an_older_copy_is_noticed_before_anything_is_resumed(solo: LocalMesh, lost: str) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as first, RawApp(node.app, solo.ca_file) as second:
        chat = await first.start_chat(second)
        await first.wait_event(ChatReady)
        await first.say(chat, b"before")
        await solo.stop(0)  # the chat is in the database
        await solo.start(0)
        await first.reconnect(node.app)
        await second.reconnect(node.app)
        await first.say(chat, b"after")
        await second.wait(lambda: len(second.contents()) == 2)
        await solo.kill(0)
        path = node.keystore_path.with_name("keystore.db-wal") if lost == "log" else floor_path(node.keystore_path)
        path.unlink()
        if _policy(solo) == "exit":
            for _ in range(2):  # it waits until somebody decides
                with pytest.raises(LocalMeshError, match=f"exit code {KeystoreRolledBackError.exit_code}"):
                    await solo.start(0)
            assert "KEYSTORE_ROLLED_BACK" in node.log_path.read_text()
            node.settings["keystore"]["on_rollback"] = "quarantine"
        await solo.start(0)
        await wait_logged(node, "rollback_detected")
        _, metrics = await ask_admin(solo, 0, "GET", "/metrics", token=None)
        assert 'hermes_keystore_rollback_total{kind="floor"} 1.0' in metrics["text"]
        _, ratchets = await ask_admin(solo, 0, "GET", "/crypto/ratchets")
        assert [it["state"] for it in ratchets["chats"]] == ["quarantined"]
        await first.reconnect(node.app)
        await second.reconnect(node.app)
        await first.wait_event(ChatRekeyed)
        await first.say(chat, b"healed")
        await second.wait(lambda: second.contents()[-1:] == [b"healed"])
    told = sum(record["event"] == "rollback_detected" for record in read_log(node))
    await solo.kill(0)
    await solo.start(0)
    assert sum(record["event"] == "rollback_detected" for record in read_log(node)) == told, "it is told once"


async def test_who_removes_log_and_floor_of_a_young_node_makes_no_other_node_of_it(solo: LocalMesh) -> None:
    """It was killed before its log was ever folded in: the database file is as it was created."""
    node = solo.nodes[0]
    _, before = await ask_admin(solo, 0, "GET", "/resume")
    async with RawApp(node.app, solo.ca_file) as first, RawApp(node.app, solo.ca_file) as second:
        await first.start_chat(second)
        await first.wait_event(ChatReady)
    await solo.kill(0)
    node.keystore_path.with_name("keystore.db-wal").unlink()
    floor_path(node.keystore_path).unlink()
    if _policy(solo) == "exit":
        with pytest.raises(LocalMeshError, match=f"exit code {KeystoreRolledBackError.exit_code}"):
            await solo.start(0)
        return
    await solo.start(0)
    await wait_logged(node, "rollback_detected")
    _, after = await ask_admin(solo, 0, "GET", "/resume")
    assert after["identity_fingerprint"] == before["identity_fingerprint"]
    assert sum(record["event"] == "identity_created" for record in read_log(node)) == 1


async def test_the_report_carries_a_mark_that_anybody_can_check(solo: LocalMesh) -> None:
    _, before = await ask_admin(solo, 0, "GET", "/resume")
    mark = parse_mark(base64.b64decode(before["mark"]))
    assert mark.open_id.hex() == before["open_id"]
    assert mark.commit_counter == int(before["keystore"]["commit_counter"])
    await solo.kill(0)
    await solo.start(0)
    _, after = await ask_admin(solo, 0, "GET", "/resume")
    later = parse_mark(base64.b64decode(after["mark"]))
    assert later.node_key == mark.node_key
    assert later.open_id != mark.open_id
    assert later.commit_counter > mark.commit_counter
