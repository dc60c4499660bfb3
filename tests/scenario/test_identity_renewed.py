"""A node gets another identity key: its chats go on at once at the same node, and the former key alone moves nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hermes_client import Chat, ClientTls, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ConfigError
from hermes_ctl import cli
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready

PATIENCE_S = 60.0
"""Longer than any test here takes: who moves does so because of the renewal."""
COUNT = 20

pytestmark = pytest.mark.timeout(100)


async def _open_chat(caller: HermesClient, callee: HermesClient) -> tuple[Chat, Chat]:
    async def accept() -> Chat:
        async for offer in callee.offers():
            return await offer.accept()
        raise AssertionError("the client was closed")

    await caller.wait_for_app(callee.app_id)
    accepting = asyncio.create_task(accept())
    return await caller.start_chat(callee.app_id), await accepting


async def _take(chat: Chat, count: int) -> list[bytes]:
    contents: list[bytes] = []
    async with asyncio.timeout(30):
        async for message in chat:
            contents.append(message.content)
            if len(contents) == count:
                break
    return contents


async def _report(mesh: LocalMesh, index: int) -> dict[str, Any]:
    return (await ask_admin(mesh, index, "GET", "/resume"))[1]


def _renew(mesh: LocalMesh, index: int) -> int:
    path, passphrase = str(mesh.nodes[index].keystore_path), str(mesh.folder / "passphrase")
    return cli.main(["keystore", "renew-identity", path, "--passphrase-file", passphrase])


def _numbered(prefix: str, start: int) -> list[bytes]:
    return [b"%s %d" % (prefix.encode(), number) for number in range(start, start + COUNT)]


@pytest.mark.parametrize("second_home", [1, 0], ids=["one-home", "both-homes"])
@pytest.mark.parametrize("renewals", [1, 2])
async def test_chats_go_on_at_a_node_that_renewed_its_identity(second_home: int, renewals: int) -> None:
    """Killed, so that nobody heard it leave: apps and the other node take the new key for the node at once."""
    params = AppParams(home_patience_s=PATIENCE_S)
    async with LocalMesh(2, settings=QUICK) as mesh:
        await wait_ready(mesh)
        addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)
        order = addresses[second_home:] + addresses[:second_home]
        async with (
            HermesClient(addresses, tls=tls, params=params) as first,
            HermesClient(order, tls=tls, params=params) as second,
        ):
            here, there = await _open_chat(first, second)
            await here.send(b"before")
            assert await _take(there, 1) == [b"before"]
            before = (await _report(mesh, 0))["identity_fingerprint"]
            await mesh.kill(0)
            for content in _numbered("here", 0):
                await here.send(content)
            for content in _numbered("there", 0):
                await there.send(content)
            for _ in range(renewals):
                assert await asyncio.to_thread(_renew, mesh, 0) == 0
            await mesh.start(0)
            await wait_ready(mesh)
            assert (await _report(mesh, 0))["identity_fingerprint"] != before
            assert await _take(there, COUNT) == _numbered("here", 0)
            assert await _take(here, COUNT) == _numbered("there", 0)
            assert first.home == "local-0"
            await wait_logged(mesh.nodes[0], "chat_moved", direction="arrived", channel="leg")
            if second_home == 1:
                await wait_logged(mesh.nodes[1], "peer_identity_renewed", peer="local-0")
                await wait_logged(mesh.nodes[1], "chat_moved", direction="arrived", channel="tieline")
            assert "peer_identity_conflict" not in mesh.nodes[1].log_path.read_text()
            assert (await _report(mesh, 0))["live_chats"] == 1
            await mesh.kill(0)  # what is on the disk since then is the new identity's as well
            await mesh.start(0)
            for content in _numbered("here", COUNT):
                await here.send(content)
            assert await _take(there, COUNT) == _numbered("here", COUNT)
            await here.delete()
            assert (await there.wait_ended()).name == "DELETED_BY_PEER"


def test_a_node_that_was_never_started_has_nothing_to_renew(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("correct horse battery staple")
    path, costs = str(tmp_path / "keystore.db"), ["--memory-kib", "8192", "--time-cost", "1"]
    given = ["--passphrase-file", str(tmp_path / "passphrase")]
    assert cli.main(["keystore", "init", path, *given, *costs]) == 0
    assert cli.main(["keystore", "renew-identity", path, *given]) == ConfigError.exit_code
