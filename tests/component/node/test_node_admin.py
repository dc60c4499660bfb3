"""The admin server: who may ask, what it shows, and the resume witness with each of its verdicts."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
from google.protobuf import json_format

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatEnded, ChatFailed, ChatReady, ChatRekeyed
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import NodeChange
from hermes_core.ratchet.epochs import FIRST_RESERVATION
from hermes_node.admin.server import AdminServer
from hermes_node.config.addresses import Address
from hermes_proto.v2 import admin_pb2
from hermes_wire.http_server import ANY_HOST, HttpBounds
from tests.support.every_address import expected_loopbacks, find_answering, refuse_ipv6
from tests.support.nodes import QUICK, ask_admin, restart, wait_ready, wait_until
from tests.support.raw_app import RawApp

GUARDED = [
    ("GET", "/mesh/members"),
    ("GET", "/crypto/ratchets"),
    ("GET", "/resume"),
    ("POST", "/resume"),
    ("POST", "/resume/mark"),
    ("POST", "/resume/witness"),
    ("POST", "/drain"),
    ("POST", "/wipe"),
]


@pytest.fixture
async def solo() -> AsyncIterator[LocalMesh]:
    """One node of the test's own."""
    async with LocalMesh(1, settings=QUICK) as one:
        await wait_ready(one)
        yield one


@pytest.mark.parametrize(("method", "path"), GUARDED, ids=[f"{method} {path}" for method, path in GUARDED])
async def test_no_token_or_a_wrong_one_is_refused(mesh: LocalMesh, method: str, path: str) -> None:
    for token in (None, "0" * 32, mesh.admin_token[:-1], mesh.admin_token + "0"):
        status, answer = await ask_admin(mesh, 0, method, path, token=token)
        assert (status, answer["code"]) == (401, "AUTH_FAILED")
    status, _ = await ask_admin(mesh, 0, "GET", "/readyz", token=None)
    assert status == 200  # nothing was drained or wiped


async def test_health_readiness_and_metrics_are_open(mesh: LocalMesh) -> None:
    assert (await ask_admin(mesh, 0, "GET", "/healthz", token=None))[0] == 200
    assert await ask_admin(mesh, 0, "GET", "/readyz", token=None) == (200, {"ready": True, "reasons": []})
    status, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    assert status == 200
    for line in ('hermes_mesh_members{state="alive"} 2.0', "hermes_keystore_sealed 0.0", "hermes_sessions_active 0.0"):
        assert line in metrics["text"].splitlines()
    assert 'hermes_tls_certificate_not_after_timestamp_seconds{kind="mesh_ca"}' in metrics["text"]


@pytest.mark.parametrize("with_ipv6", [True, False])
async def test_every_address_answers_those_of_ipv6_too_where_there_are_any(
    monkeypatch: pytest.MonkeyPatch, *, with_ipv6: bool
) -> None:
    if not with_ipv6:
        monkeypatch.setattr(socket, "create_server", refuse_ipv6)
    server = AdminServer(cast("Any", _Unready()), "", cast("Any", None))
    bound = await server.start(Address(ANY_HOST, 0))
    reached = await find_answering(bound.port)
    await server.stop()
    assert reached == expected_loopbacks(with_ipv6=with_ipv6)
    assert bound.host == ANY_HOST  # as it was told


async def test_connections_that_ask_nothing_lock_no_health_check_out(mesh: LocalMesh) -> None:
    """From the kubelet's own address, with half a request on each."""
    host, port = mesh.nodes[0].admin.rsplit(":", 1)
    held = [await asyncio.open_connection(host, int(port)) for _ in range(300)]
    for _, writer in held:
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    for _ in range(20):
        assert (await ask_admin(mesh, 0, "GET", "/healthz", token=None))[0] == 200
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    (line,) = [line for line in metrics["text"].splitlines() if "admin_connections_refused_total{" in line and "many" in line]
    assert float(line.rsplit(" ", 1)[1]) >= 300 - HttpBounds().an_address
    for _, writer in held:
        writer.transport.abort()


class _Unready:
    def why_not_ready(self) -> list[str]:
        return ["it only listens"]

    def render_metrics(self, _accept: str) -> tuple[bytes, str]:
        return b"", ""


async def test_members_name_both_nodes(mesh: LocalMesh) -> None:
    _, answer = await ask_admin(mesh, 1, "GET", "/mesh/members")
    members = {member["node_id"]: member for member in answer["members"]}
    assert set(members) == {"local-0", "local-1"}
    assert members["local-1"]["self"]
    assert not members["local-0"]["self"]
    for index, node in enumerate(mesh.nodes):
        assert members[f"local-{index}"]["address"] == node.mesh
        assert members[f"local-{index}"]["state"] == "alive"
        assert len(members[f"local-{index}"]["identity_fingerprint"]) == 32


async def open_chat(mesh: LocalMesh, one: RawApp, two: RawApp) -> ChatId:
    chat = await one.start_chat(two)
    await one.wait_event(ChatReady)
    await two.wait_event(ChatReady)
    return chat


async def test_ratchets_show_positions_but_nothing_that_links_or_opens(mesh: LocalMesh) -> None:
    node = mesh.nodes[0]
    async with RawApp(node.app, mesh.ca_file) as one, RawApp(node.app, mesh.ca_file) as two:
        chat = await open_chat(mesh, one, two)
        await one.say(chat, b"a", b"b", b"c")
        await two.wait(lambda: len(two.contents()) == 3)
        _, answer = await ask_admin(mesh, 0, "GET", "/crypto/ratchets")
        (shown,) = [item for item in answer["chats"] if item["chat_ref"] == chat.hex()[:8]]
        assert shown["state"] == "active"
        first = shown["channels"][0]
        assert (first["kind"], first["epoch"], first["up"]) == ("leg", 1, True)
        assert int(first["recv"]["position"]) >= 3
        assert int(first["recv"]["reserved"]) == FIRST_RESERVATION
        assert chat.hex() not in json.dumps(answer)
        await one.do(lambda now: one.chats.delete(chat, now))


async def take_witness(mesh: LocalMesh) -> admin_pb2.ResumeWitness:
    status, answer = await ask_admin(mesh, 0, "POST", "/resume/witness")
    assert status == 200
    return json_format.ParseDict(answer, admin_pb2.ResumeWitness())


async def check(mesh: LocalMesh, witness: admin_pb2.ResumeWitness) -> dict[str, Any]:
    status, report = await ask_admin(mesh, 0, "POST", "/resume", body=witness)
    assert status == 200, report
    return report


async def closed_since(mesh: LocalMesh, witness: admin_pb2.ResumeWitness, count: int) -> dict[str, Any] | None:
    report = await check(mesh, witness)
    return report if report["closed_since"] == count else None


async def test_a_restart_resumes_every_chat_of_the_witness(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as one, RawApp(node.app, solo.ca_file) as two:
        chats = [await open_chat(solo, one, two) for _ in range(3)]
        await two.wait(lambda: sum(isinstance(event, ChatReady) for event in two.events) == 3)
        witness = await take_witness(solo)
        assert witness.live_chats == 3
        # One ends and one is rekeyed after the witness was taken: both are accounted for.
        await one.do(lambda now: one.chats.delete(chats[0], now))
        await two.wait_event(ChatEnded)
        await one.do(lambda now: one.chats.rekey(chats[1], now))
        await two.wait_event(ChatRekeyed)
        await restart(solo, 0)
        await wait_ready(solo)
        report = await check(solo, witness)
        assert report["verdict"] == "RESUMED", report
        assert (report["live_chats"], report["resumed"], report["closed_since"]) == (2, 2, 1)
        # What ends after the restart is accounted for as well.
        await one.reconnect()
        await one.do(lambda now: one.chats.delete(chats[2], now))
        report = await wait_until(lambda: closed_since(solo, witness, 2))
    assert report["verdict"] == "RESUMED"
    assert (report["missing"], report["lowered"], report["rolled_back"]) == (0, 0, 0)
    assert report["identity_fingerprint"] == witness.identity_fingerprint
    _, plain = await ask_admin(solo, 0, "GET", "/resume")
    assert plain["verdict"] == "RESUME_VERDICT_UNSPECIFIED"
    assert plain["live_chats"] == 1


async def test_an_older_volume_is_a_rollback_and_its_chats_are_quarantined(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as one, RawApp(node.app, solo.ca_file) as two:
        chat = await open_chat(solo, one, two)
        for app in (one, two):
            await app.disconnect()
        await solo.stop(0)
        shutil.copy(node.keystore_path, node.folder / "older.db")
        await solo.start(0)
        witness = await take_witness(solo)
        await solo.stop(0)
        shutil.copy(node.folder / "older.db", node.keystore_path)
        await solo.start(0)
        report = await check(solo, witness)
        assert report["verdict"] == "ROLLED_BACK"
        assert report["rolled_back"] == 1
        _, ratchets = await ask_admin(solo, 0, "GET", "/crypto/ratchets")
        assert [item["state"] for item in ratchets["chats"]] == ["quarantined"]
        _, metrics = await ask_admin(solo, 0, "GET", "/metrics", token=None)
        assert 'hermes_keystore_rollback_total{kind="witness"} 1.0' in metrics["text"]
        await one.reconnect()
        await one.do(lambda now: one.chats.send(chat, b"not under the old keys", now))
        assert (await one.wait_error()).code is ErrorCode.ROLLBACK_DETECTED
        assert two.contents() == []


async def test_another_identity_is_noticed(solo: LocalMesh) -> None:
    witness = await take_witness(solo)
    await solo.stop(0)
    for file in solo.nodes[0].keystore_path.parent.glob("keystore.db*"):
        file.unlink()
    await solo.start(0)
    assert (await check(solo, witness))["verdict"] == "IDENTITY_CHANGED"


async def test_a_witness_that_was_altered_or_is_not_ours_is_refused(solo: LocalMesh) -> None:
    witness = await take_witness(solo)
    altered = admin_pb2.ResumeWitness()
    altered.CopyFrom(witness)
    altered.digest = "0" * 64
    assert (await check(solo, altered))["verdict"] == "ROLLED_BACK"
    for change in ({"node_id": "other"}, {"witness_id": "zz"}, {"witness_id": "00"}):
        wrong = admin_pb2.ResumeWitness()
        wrong.CopyFrom(witness)
        for name, value in change.items():
            setattr(wrong, name, value)
        status, answer = await ask_admin(solo, 0, "POST", "/resume", body=wrong)
        assert (status, answer["code"]) == (400, "INVALID_FRAME")
    for _ in range(4):
        newest = await take_witness(solo)
    assert (await check(solo, newest))["verdict"] == "RESUMED"
    assert (await check(solo, witness))["verdict"] == "RECORDS_MISSING"  # only the newest four are kept


async def test_a_body_that_cannot_be_read_is_refused(solo: LocalMesh) -> None:
    """In whatever charset it is said to be."""
    bodies = (b"", b"\xff", b"[" * 50_000, b'{"node_id": 1}', b'{"node_id": "\\ud800"}', b"{}")
    headers = {"Authorization": f"Bearer {solo.admin_token}"}
    async with aiohttp.ClientSession(f"http://{solo.nodes[0].admin}", headers=headers) as session:
        for path, charset, body in itertools.product(("/resume", "/resume/mark"), ("utf-8", "rot13", "nobody"), bodies):
            kind = {"Content-Type": f"application/json; charset={charset}"}
            async with session.post(path, headers=kind, data=body) as response:
                assert response.status == 400, (path, charset, body[:20])
                assert (await response.json())["code"] == "INVALID_FRAME"


async def test_wipe_gives_every_chat_up_and_erases_the_keystore(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as one, RawApp(node.app, solo.ca_file) as two:
        await open_chat(solo, one, two)
        status, _ = await ask_admin(solo, 0, "POST", "/wipe")
        assert status == 200
        for app in (one, two):
            await app.wait_path_lost()
            assert not any(isinstance(event, ChatEnded) for event in app.events), "it goes on where another node takes it"
        assert not node.keystore_path.exists()
        assert list(node.folder.glob("keystore.db*")) == []
        assert (await ask_admin(solo, 0, "GET", "/healthz", token=None))[0] == 200
        status, readiness = await ask_admin(solo, 0, "GET", "/readyz", token=None)
        assert (status, readiness["reasons"]) == (503, ["the keystore was wiped"])
        status, answer = await ask_admin(solo, 0, "GET", "/resume")
        assert (status, answer["code"]) == (503, "KEYSTORE_SEALED")
    assert await solo.stop(0) == 0


async def test_drain_makes_the_node_unready_and_sends_its_apps_elsewhere(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as one, RawApp(node.app, solo.ca_file) as two:
        chat = await open_chat(solo, one, two)
        status, answer = await ask_admin(solo, 0, "POST", "/drain")
        assert (status, answer) == (200, {"draining": True, "sessions": 2, "live_chats": 1})
        status, readiness = await ask_admin(solo, 0, "GET", "/readyz", token=None)
        assert (status, readiness["reasons"]) == (503, ["the node is draining"])
        await one.wait(lambda: any(type(message).__name__ == "NodeChange" for message in one.received))
        # Chats that live go on; new ones and new streams are refused.
        await one.say(chat, b"last words")
        await two.wait(lambda: two.contents() == [b"last words"])
        await one.start_chat(two)
        assert (await one.wait_event(ChatFailed)).code is ErrorCode.DRAINING
        late = RawApp(node.app, solo.ca_file)
        with pytest.raises(AssertionError, match="DRAINING"):
            await late.connect()
        await late.close()


async def test_who_was_told_to_wait_is_told_when_the_node_leaves_for_good_after_all(solo: LocalMesh) -> None:
    """And not the other way round: SIGTERM, or a second request, takes nothing back."""
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as one, RawApp(node.app, solo.ca_file) as two:
        await open_chat(solo, one, two)
        for query in ("?chats=resume&back_within_s=45", "?chats=resume", "?chats=move", "?chats=move", ""):
            assert (await ask_admin(solo, 0, "POST", f"/drain{query}"))[0] == 200
        os.kill(node.pid, signal.SIGTERM)
        await one.wait(lambda: any(isinstance(message, ErrorNotice) for message in one.received))
        told = [message for message in one.received if isinstance(message, NodeChange)]
        assert told == [NodeChange(1000, 45_000, for_good=False), NodeChange(1000, 0, for_good=True)]


@pytest.mark.parametrize(
    "query", ["chats=away", "chats=move&back_within_s=5", "back_within_s=-1", "back_within_s=3601", "back_within_s=1e3", "x=1"]
)
async def test_a_departure_that_cannot_be_meant_is_refused_and_nothing_is_drained(solo: LocalMesh, query: str) -> None:
    status, answer = await ask_admin(solo, 0, "POST", f"/drain?{query}")
    assert (status, answer["code"]) == (400, "INVALID_FRAME")
    assert (await ask_admin(solo, 0, "GET", "/readyz", token=None))[0] == 200


async def test_a_token_file_may_be_replaced(solo: LocalMesh) -> None:
    (solo.folder / "admin-token").write_text("another-token-0123456789\n")
    assert (await ask_admin(solo, 0, "GET", "/resume"))[0] == 401
    assert (await ask_admin(solo, 0, "GET", "/resume", token="another-token-0123456789"))[0] == 200
    (solo.folder / "admin-token").write_text("short")
    assert (await ask_admin(solo, 0, "GET", "/resume", token="short"))[0] == 401
