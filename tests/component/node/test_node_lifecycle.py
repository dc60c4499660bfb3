"""A node's steps in one process: what is logged and answered at each, and that every end leaves nothing open."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hermes_client.scenario.local_mesh import render_toml
from hermes_core.crypto.secret import SecretBytes
from hermes_core.endpoint.events import ChatEnded, ChatReady
from hermes_core.errors import HermesError, KeystoreIOError
from hermes_keystore import Keystore
from hermes_node.config.sources import load_config
from hermes_node.errors import ListenError, NodeError
from hermes_node.host import SYSTEM_HOST, Host
from hermes_node.lifecycle.ending import end_streams
from hermes_node.lifecycle.node import Node
from hermes_node.lifecycle.steps import Serving
from hermes_node.lifecycle.unseal import UnsealedNode, unseal_node
from hermes_node.logs.event_log import EventLog
from tests.support.raw_app import RawApp

PASSPHRASE = b"correct horse"
TOKEN = "0123456789abcdef"
GUARDED = [
    ("GET", "/mesh/members"),
    ("GET", "/crypto/ratchets"),
    ("GET", "/resume"),
    ("POST", "/resume"),
    ("POST", "/resume/witness"),
    ("POST", "/wipe"),
]


class Solo:
    """A node without a mesh, its log in memory, its admin server on a port that is known beforehand."""

    def __init__(self, folder: Path, *, host: Host = SYSTEM_HOST, **changes: dict[str, Any]) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.admin = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "passphrase").write_bytes(PASSPHRASE)
        (folder / "token").write_text(TOKEN)
        for name in ("passphrase", "token"):
            (folder / name).chmod(0o440)
        settings: dict[str, dict[str, Any]] = {
            "node": {"id": "solo", "data_dir": str(folder)},
            "app": {"listen": "127.0.0.1:0"},
            "mesh": {"listen": ""},
            "admin": {"listen": self.admin, "token_file": str(folder / "token")},
            "keystore": {"passphrase_file": str(folder / "passphrase"), "argon2_memory_kib": 8192, "argon2_time_cost": 1},
            "cleanup": {"drain_timeout_s": 0.5},
        }
        for section, values in changes.items():
            settings[section] |= values
        (folder / "node.toml").write_text(render_toml(settings))
        self._stream = io.StringIO()
        log = EventLog(node_id="solo", stream=self._stream)
        self.node = Node(load_config(folder / "node.toml", {}), {}, log, host)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [record["event"] for record in self.records]

    @property
    def app(self) -> str:
        return str(next(record["app"] for record in self.records if record["event"] == "node_serving"))

    async def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{self.admin}{path}", headers=headers, data="{}") as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else {"text": text}

    async def wait_event(self, event: str) -> None:
        async with asyncio.timeout(10):
            while event not in self.events:  # noqa: ASYNC110 - the log is a list in memory
                await asyncio.sleep(0.01)

    async def expect_closed(self) -> None:
        """Nothing listens, no worker thread is left, and the keystore can be opened by the next process."""
        with pytest.raises(aiohttp.ClientConnectionError):
            await self.ask("GET", "/healthz")
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("keystore")] == []
        path = self.folder / "keystore.db"
        if path.exists():
            Keystore.open(path, SecretBytes.take(bytearray(PASSPHRASE))).close()


@pytest.fixture
async def solo(tmp_path: Path) -> AsyncIterator[Solo]:
    """Started; ended by the test or not."""
    one = Solo(tmp_path)
    await one.node.start()
    try:
        yield one
    finally:
        await one.node.abandon()


async def test_start_and_stop_are_told_in_this_order(solo: Solo) -> None:
    await solo.wait_event("node_ready")
    await solo.node.stop()
    assert solo.events == [
        "node_starting",
        "keystore_created",
        "identity_created",
        "keystore_unsealed",
        "chats_restored",
        "node_serving",
        "node_ready",
        "node_draining",
        "node_stopping",
    ]
    await solo.expect_closed()


async def test_a_file_of_secrets_that_everybody_may_read_is_one_warning(tmp_path: Path) -> None:
    one = Solo(tmp_path)
    (tmp_path / "passphrase").chmod(0o644)
    await one.node.start()
    await one.node.stop()
    (told,) = [record for record in one.records if record["event"] == "file_exposed"]
    assert (told["level"], told["path"]) == ("warning", str(tmp_path / "passphrase"))
    assert "0440" in told["cure"]


class Gate:
    """Unsealing waits here."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def unseal(self, *arguments: Any) -> UnsealedNode:
        self.reached.set()
        assert self.opened.wait(20)
        return unseal_node(*arguments)

    async def wait_reached(self) -> None:
        async with asyncio.timeout(10):
            while not self.reached.is_set():  # noqa: ASYNC110 - set by the worker thread
                await asyncio.sleep(0.01)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr("hermes_node.lifecycle.start.unseal_node", made.unseal)
    return made


async def test_while_sealed_it_answers_for_its_health_and_for_nothing_else(tmp_path: Path, gate: Gate) -> None:
    solo = Solo(tmp_path)
    starting = asyncio.create_task(solo.node.start())
    try:
        await gate.wait_reached()
        assert (await solo.ask("GET", "/healthz"))[0] == 200
        assert await solo.ask("GET", "/readyz") == (503, {"ready": False, "reasons": ["the keystore is sealed"]})
        assert "hermes_keystore_sealed 1.0" in (await solo.ask("GET", "/metrics"))[1]["text"].splitlines()
        for method, path in GUARDED:
            refused = {"code": "KEYSTORE_SEALED", "detail": "the keystore is sealed"}
            assert await solo.ask(method, path) == (503, refused), path
    finally:
        gate.opened.set()
        await starting
    for method, path in GUARDED:
        if path not in {"/wipe", "/resume"}:
            assert (await solo.ask(method, path))[0] == 200, path
    assert "hermes_keystore_sealed 0.0" in (await solo.ask("GET", "/metrics"))[1]["text"].splitlines()
    await solo.node.stop()


async def test_a_drain_asked_for_during_the_start_holds_once_it_serves(tmp_path: Path, gate: Gate) -> None:
    solo = Solo(tmp_path)
    starting = asyncio.create_task(solo.node.start())
    await gate.wait_reached()
    assert await solo.ask("POST", "/drain") == (200, {"draining": True, "sessions": 0, "live_chats": 0})
    gate.opened.set()
    await starting
    assert (await solo.ask("GET", "/readyz"))[1]["reasons"] == ["the node is draining"]
    late = RawApp(solo.app)
    with pytest.raises(AssertionError, match="DRAINING"):
        await late.connect()
    await late.close()
    await solo.node.stop()
    assert solo.events.count("node_draining") == 1


def fail_unsealing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hermes_node.lifecycle.start.unseal_node", _raise(KeystoreIOError("full")))


def fail_restoring(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hermes_core.relay.router.NodeChats.restore", _raise(NodeError("no")))


def fail_serving(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hermes_node.lifecycle.start.serve_apps", _raise(ListenError("app.listen")))


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("break_it", [fail_unsealing, fail_restoring, fail_serving], ids=lambda f: f.__name__)
async def test_whatever_a_start_opened_is_closed_when_it_fails(
    break_it: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solo = Solo(tmp_path)
    break_it(monkeypatch)
    with pytest.raises(HermesError):
        await solo.node.start()
    assert (await solo.ask("GET", "/readyz"))[0] == 503
    await solo.node.abandon()
    await solo.expect_closed()
    await solo.node.abandon()  # harmless


async def test_a_part_that_fails_ends_the_node_and_the_first_failure_is_told(
    solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_keystore.Keystore.rotate_slice", _raise(KeystoreIOError("the first")))
    monkeypatch.setattr("hermes_core.keystore.rotation_timer.RotationTimer.is_due", lambda *_: True)
    with pytest.raises(KeystoreIOError, match="the first"):
        async with asyncio.timeout(10):
            await solo.node.serve(asyncio.Event())
    await solo.node.abandon()
    await solo.expect_closed()


@pytest.mark.parametrize("error", [KeystoreIOError("full"), ValueError("secret")], ids=lambda error: type(error).__name__)
async def test_a_commit_that_fails_is_told_and_ends_the_node(
    error: Exception, solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawApp(solo.app) as one, RawApp(solo.app) as two:  # the first mark that goes out is a commit
        monkeypatch.setattr("hermes_node.chats.store.ChatStore.commit", _raise(error))
        await one.start_chat(two)
        with pytest.raises(HermesError) as failed:
            async with asyncio.timeout(10):
                await solo.node.serve(asyncio.Event())
        await solo.node.abandon()
    assert [record["exception"] for record in solo.records if record["event"] == "keystore_failed"] == [type(error).__name__]
    assert failed.value is error or failed.value.detail == "ValueError in the keystore's commit"
    assert "secret" not in failed.value.detail


async def test_of_two_wipes_at_once_one_is_done_and_the_other_refused(solo: Solo) -> None:
    async with RawApp(solo.app) as one, RawApp(solo.app) as two:
        await one.start_chat(two)
        await two.wait_event(ChatReady)
        answers = await asyncio.gather(solo.ask("POST", "/wipe"), solo.ask("POST", "/wipe"))
        assert sorted(status for status, _ in answers) == [200, 503]
        for app in (one, two):
            await app.wait_path_lost()
            assert not any(isinstance(event, ChatEnded) for event in app.events), "it goes on where another node takes it"
    assert list(solo.folder.glob("keystore.db*")) == []
    assert solo.events.count("keystore_wiped") == 1
    refused = {"code": "KEYSTORE_SEALED", "detail": "the keystore was wiped"}
    for method, path in GUARDED:
        assert await solo.ask(method, path) == (503, refused), path
    assert "hermes_keystore_sealed 1.0" in (await solo.ask("GET", "/metrics"))[1]["text"].splitlines()
    await solo.node.stop()
    await solo.expect_closed()


async def test_a_stop_waits_for_the_wipe_that_is_under_way(solo: Solo, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, calls = asyncio.Event(), 0

    async def end_late(serving: Serving) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await go_on.wait()
        await end_streams(serving)

    monkeypatch.setattr("hermes_node.lifecycle.node.end_streams", end_late)
    wiping = asyncio.create_task(solo.node.wipe())
    await solo.wait_event("node_draining")
    stopping = asyncio.create_task(solo.node.stop())
    await solo.wait_event("node_stopping")
    await asyncio.sleep(0.1)
    early = stopping.done()
    go_on.set()
    await asyncio.gather(wiping, stopping)
    assert not early
    assert (calls, list(solo.folder.glob("keystore.db*"))) == (1, [])
    await solo.expect_closed()


async def test_a_wipe_while_apps_are_given_time_to_leave_is_done(tmp_path: Path) -> None:
    solo = Solo(tmp_path, cleanup={"drain_timeout_s": 20.0})
    await solo.node.start()
    async with RawApp(solo.app):
        stopping = asyncio.create_task(solo.node.stop())
        await solo.wait_event("node_draining")
        assert (await solo.ask("POST", "/wipe"))[0] == 200
        async with asyncio.timeout(10):
            await stopping
    assert list(solo.folder.glob("keystore.db*")) == []
    await solo.expect_closed()
