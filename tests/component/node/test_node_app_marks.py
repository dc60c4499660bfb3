"""Apps as witnesses: each is given a mark when it connects and hands it back, and its proof is acted on before it is in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hermes_client.client import HermesClient
from hermes_client.scenario.local_mesh import LocalMesh, LocalMeshError
from hermes_client.tls import ClientTls
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatReady
from hermes_core.errors import KeystoreRolledBackError
from hermes_core.keystore.mark import encode_mark, parse_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from tests.support.nodes import QUICK, ask_admin, read_log, wait_logged, wait_ready, wait_until
from tests.support.raw_app import RawApp
from tests.support.volumes import copy_volume, put_back


@pytest.fixture
async def solo(request: pytest.FixtureRequest) -> AsyncIterator[LocalMesh]:
    policy = getattr(request, "param", "quarantine")
    async with LocalMesh(1, settings={**QUICK, "keystore": {"on_rollback": policy}}) as one:
        await wait_ready(one)
        yield one


async def count_rollbacks(mesh: LocalMesh) -> dict[str, float]:
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    lines = (line for line in metrics["text"].splitlines() if line.startswith("hermes_keystore_rollback_total{"))
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines if not line.endswith(" 0.0")}


async def came_back(client: HermesClient, before: int) -> bool:
    return client.connected and client.connections > before


async def test_only_a_client_kept_the_newer_mark(solo: LocalMesh, tmp_path: Path) -> None:
    node, tls = solo.nodes[0], ClientTls(ca_file=solo.ca_file)
    async with HermesClient([node.app], tls=tls) as first, HermesClient([node.app], tls=tls) as second:
        starting = asyncio.create_task(first.start_chat(second.app_id))
        await (await anext(second.offers())).accept()
        await starting
        await solo.stop(0)
        copy_volume(node, tmp_path / "image")
        before = first.connections
        await solo.start(0)
        await wait_until(lambda: came_back(first, before))
        await solo.kill(0)
        put_back(node, tmp_path / "image")
        await solo.start(0)
        await wait_logged(node, "rollback_detected")
        await wait_until(lambda: came_back(first, before + 1))
        assert (await count_rollbacks(solo))["mark"] == 1.0


@pytest.mark.parametrize("solo", ["quarantine", "exit"], indirect=True)
async def test_every_chat_is_quarantined_before_the_app_is_in(solo: LocalMesh, tmp_path: Path) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as first, RawApp(node.app, solo.ca_file) as second:
        await first.start_chat(second)
        await first.wait_event(ChatReady)
        await solo.stop(0)
        copy_volume(node, tmp_path / "image")
        await solo.start(0)
        stranger = RawApp(node.app, solo.ca_file)  # no chat of it is there: it proves by its mark alone
        await stranger.reconnect(node.app)
        await stranger.disconnect()
        await solo.kill(0)
        put_back(node, tmp_path / "image")
        await solo.start(0)
        stranger.mark = stranger.given
        if node.settings["keystore"]["on_rollback"] == "exit":
            connecting = asyncio.create_task(stranger.reconnect(node.app))
            await wait_logged(node, "node_failed")
            await solo.kill(0)
            with pytest.raises(LocalMeshError, match=f"exit code {KeystoreRolledBackError.exit_code}"):
                await solo.start(0)
            assert stranger.given == stranger.mark, "it was not taken in"
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await stranger.close()
            return
        await stranger.reconnect(node.app)
        _, ratchets = await ask_admin(solo, 0, "GET", "/crypto/ratchets")
        assert [it["state"] for it in ratchets["chats"]] == ["quarantined"]
        given = parse_mark(stranger.given)
        assert given.commit_counter > parse_mark(stranger.mark).commit_counter
        for mark in (stranger.mark, stranger.given):  # one rollback is judged once
            stranger.mark = mark
            await stranger.reconnect(node.app)
        assert (await count_rollbacks(solo))["mark"] == 1.0
        await stranger.close()


async def test_a_lying_app_changes_nothing(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    async with RawApp(node.app, solo.ca_file) as first, RawApp(node.app, solo.ca_file) as second:
        await first.start_chat(second)
        await first.wait_event(ChatReady)
        own = parse_mark(first.given)
        ahead = KeystoreMark(own.generation, own.commit_counter + 1000)
        forged = encode_mark(sign_mark(Identity.generate(), b"x" * 16, ahead))
        in_its_name = own.node_key + forged[32:]  # all that an app could make up
        _, before = await ask_admin(solo, 0, "GET", "/resume")
        for mark in (forged, in_its_name, first.given, first.given[:-1] + bytes((first.given[-1] ^ 1,))):
            first.mark = mark
            await first.reconnect(node.app)
            assert first.given
        _, after = await ask_admin(solo, 0, "GET", "/resume")
        assert after["open_id"] == before["open_id"]
        _, ratchets = await ask_admin(solo, 0, "GET", "/crypto/ratchets")
        assert "quarantined" not in [it["state"] for it in ratchets["chats"]]
    assert not await count_rollbacks(solo)
    assert not [record for record in read_log(node) if record["event"] in {"rollback_detected", "unexpected_error"}]
