"""What an app with a store still has to tell its home, and what that gave it, outlive the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hermes_client import AppStore, ClientTls, HermesClient
from hermes_client import session as client_session
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.keystore.tables import Table
from hermes_core.protocol.messages import CloseReason
from hermes_core.session import connect
from tests.support.nodes import QUICK, wait_ready


@pytest.fixture
async def mesh() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        yield two


def make_client(mesh: LocalMesh, folder: Path, *nodes: int) -> HermesClient:
    store = AppStore(folder / "app.db", b"secret", argon2=Argon2Params(8192, 1, 1))
    return HermesClient([mesh.nodes[node].app for node in nodes], tls=ClientTls(ca_file=mesh.ca_file), store=store)


def do_nothing(_sends: object) -> None: ...


@pytest.mark.timeout(180)
async def test_an_end_that_no_node_has_heard_of_is_told_to_its_home_in_the_next_start(mesh: LocalMesh, tmp_path: Path) -> None:
    async with HermesClient(mesh.nodes[1].app, tls=ClientTls(ca_file=mesh.ca_file)) as peer, asyncio.timeout(150):
        async with make_client(mesh, tmp_path, 0) as app:
            await app.wait_for_app(peer.app_id)
            starting = asyncio.create_task(app.start_chat(peer.app_id))
            theirs = await (await anext(peer.offers())).accept()
            ours = await starting
            assert app.driver._commits is not None
            app.driver._commits._release = do_nothing  # what it says from here on is kept and does not leave
            await ours.delete()
        assert theirs.ended is None
        async with make_client(mesh, tmp_path, 1, 0) as app:
            assert app.home == "local-0", "where its chat was, though the other node comes first"
            assert await theirs.wait_ended(30.0) is CloseReason.DELETED_BY_PEER
            assert app._store is not None
            keystore = app._store._file.keystore
            while keystore.record_count(Table.APP_ENDED):  # noqa: ASYNC110 - until the node has said that it knows
                await asyncio.sleep(0.05)
        async with make_client(mesh, tmp_path, 1, 0) as app:
            assert app.home == "local-1", "nothing is left to tell"


@pytest.mark.timeout(180)
async def test_a_node_gets_its_mark_back_from_the_next_start(
    mesh: LocalMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_back: list[bytes] = []
    real = connect.build_connect

    def build_connect(*given: Any) -> Any:
        handed_back.append(given[-1])
        return real(*given)

    monkeypatch.setattr(client_session, "build_connect", build_connect)
    for _ in range(2):
        async with make_client(mesh, tmp_path, 0) as app, asyncio.timeout(60):
            assert app._store is not None
            keystore = app._store._file.keystore
            while not keystore.record_count(Table.APP_MARK):  # noqa: ASYNC110 - it is kept beside the session
                await asyncio.sleep(0.02)
    assert [bool(mark) for mark in handed_back] == [False, True]
