"""An app's store is put back from a copy: both apps hear which messages are forgotten, and the chat goes on after them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hermes_client import AppStore, Chat, ClientTls, HermesClient, StateLostError
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.kdf_argon2 import Argon2Params
from tests.support.nodes import QUICK, wait_ready


@pytest.fixture
async def mesh() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        yield two


@asynccontextmanager
async def open_app(mesh: LocalMesh, folder: Path) -> AsyncIterator[HermesClient]:
    store = AppStore(folder / "app.db", b"secret", argon2=Argon2Params(8192, 1, 1))
    async with HermesClient(mesh.nodes[0].app, tls=ClientTls(ca_file=mesh.ca_file), store=store) as client:
        yield client


async def exchange(one: Chat, other: Chat, count: int) -> None:
    """Both say so many messages; each takes and acknowledges the other's."""
    for chat, peer in ((one, other), (other, one)):
        for _ in range(count):
            await chat.send(b"x")
        for _ in range(count):
            (await anext(peer)).ack()
        await chat.drain()


@pytest.mark.timeout(180)
async def test_both_apps_hear_what_a_store_that_was_put_back_has_forgotten(mesh: LocalMesh, tmp_path: Path) -> None:
    live, copy = tmp_path / "live", tmp_path / "copy"
    live.mkdir()
    async with HermesClient(mesh.nodes[1].app, tls=ClientTls(ca_file=mesh.ca_file)) as peer:
        async with asyncio.timeout(120):
            async with open_app(mesh, live) as app:
                await app.wait_for_app(peer.app_id)
                starting = asyncio.create_task(app.start_chat(peer.app_id))
                theirs = await (await anext(peer.offers())).accept()
                ours = await starting
                await exchange(ours, theirs, 3)
            shutil.copytree(live, copy)
            async with open_app(mesh, live) as app:
                (ours,) = app.chats.values()
                assert (ours.last_sent, ours.unacknowledged) == (3, 0)
                await exchange(ours, theirs, 4)
            shutil.rmtree(live)
            shutil.copytree(copy, live)
            async with open_app(mesh, live) as app:
                (ours,) = app.chats.values()
                for chat, is_ours in ((ours, True), (theirs, False)):
                    with pytest.raises(StateLostError) as lost:
                        await anext(chat)
                    assert (lost.value.ours, lost.value.sent, lost.value.received) == (is_ours, range(4, 8), range(4, 8))
                await exchange(ours, theirs, 2)
                assert (ours.last_sent, theirs.last_sent) == (9, 9)
