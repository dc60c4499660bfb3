"""The client library when a home does not come back: its chats go on at another node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hermes_client import PLAIN, AppStore, Chat, ClientTls, ConnectError, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.endpoint.params import AppParams

PATIENCE_S = 1.0

pytestmark = pytest.mark.timeout(60)


async def _accept(client: HermesClient) -> Chat:
    async for offer in client.offers():
        return await offer.accept()
    raise AssertionError("the client was closed")


async def _take(chat: Chat, count: int) -> list[bytes]:
    contents: list[bytes] = []
    async for message in chat:
        contents.append(message.content)
        if len(contents) == count:
            break
    return contents


@pytest.mark.parametrize(
    ("second_home", "direct"),
    [(1, True), (0, True), (1, False)],
    ids=["one-home", "both-homes", "given-addresses-alone"],
)
async def test_chats_move_after_the_patience_when_the_home_is_lost_with_its_volume(second_home: int, direct: bool) -> None:
    params = AppParams(home_patience_s=PATIENCE_S)
    async with LocalMesh(3) as mesh:
        addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)
        order = addresses[second_home:] + addresses[:second_home]
        async with (
            HermesClient(addresses, tls=tls, params=params, direct=direct) as first,
            HermesClient(order, tls=tls, params=params, direct=direct) as second,
        ):
            await first.wait_for_app(second.app_id)
            accepting = asyncio.create_task(_accept(second))
            here = await first.start_chat(second.app_id)
            there = await accepting
            await here.send(b"before")
            assert await _take(there, 1) == [b"before"]
            loop = asyncio.get_running_loop()
            await mesh.kill(0)
            mesh.nodes[0].keystore_path.unlink()
            lost_at = loop.time()
            for number in range(20):
                await here.send(b"here %d" % number)
                await there.send(b"there %d" % number)
            async with asyncio.timeout(30):
                while first.home == "local-0":  # noqa: ASYNC110 - the client tells nobody that it has another home
                    await asyncio.sleep(0.02)
            assert loop.time() - lost_at >= 0.7 * PATIENCE_S - 0.2, "it did not wait for its home"
            assert await _take(there, 20) == [b"here %d" % number for number in range(20)]
            assert await _take(here, 20) == [b"there %d" % number for number in range(20)]
            await here.send(b"after")
            assert await _take(there, 1) == [b"after"]
            accepting = asyncio.create_task(_accept(second))
            await (await first.start_chat(second.app_id)).send(b"a new chat as well")
            assert await _take(await accepting, 1) == [b"a new chat as well"]
            await here.delete()
            assert (await there.wait_ended()).name == "DELETED_BY_PEER"


async def test_an_app_whose_home_was_lost_while_it_was_down_takes_its_chats_to_another_one(tmp_path: Path) -> None:
    params = AppParams(home_patience_s=PATIENCE_S)
    async with LocalMesh(3) as mesh:
        addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)

        def open_app() -> HermesClient:
            store = AppStore(tmp_path / "app.db", b"secret", argon2=Argon2Params(8192, 1, 1))
            return HermesClient(addresses, tls=tls, params=params, store=store)

        async with HermesClient(addresses[1:], tls=tls, params=params) as peer:
            async with open_app() as app:
                await app.wait_for_app(peer.app_id)
                accepting = asyncio.create_task(_accept(peer))
                here = await app.start_chat(peer.app_id)
                there = await accepting
                await here.send(b"before")
                (await anext(there)).ack()
                await here.drain()
            await mesh.kill(0)
            mesh.nodes[0].keystore_path.unlink()
            await there.send(b"meanwhile")
            async with open_app() as app:
                assert app.home != "local-0"
                (here,) = app.chats.values()
                assert await _take(here, 1) == [b"meanwhile"]
                await here.send(b"after")
                assert await _take(there, 1) == [b"after"]


async def test_an_app_moves_its_chats_to_another_node_when_it_is_told_to_and_stays_where_there_is_none() -> None:
    async with LocalMesh(2, app_tls=False) as mesh:
        addresses = [node.app for node in mesh.nodes]
        async with HermesClient(addresses, tls=PLAIN) as first, HermesClient(addresses[1], tls=PLAIN) as second:
            await first.wait_for_app(second.app_id)
            accepting = asyncio.create_task(_accept(second))
            here = await first.start_chat(second.app_id)
            there = await accepting
            await here.send(b"before")
            assert (first.home, await _take(there, 1)) == ("local-0", [b"before"])
            assert await first.move() == "local-1"
            assert (first.home, here.resumes) == ("local-1", 1), "the chat is there as well"
            await there.send(b"to the new home")
            await here.send(b"from the new home")
            assert await _take(here, 1) == [b"to the new home"]
            assert await _take(there, 1) == [b"from the new home"]
            assert await first.move() == "local-0", "and back: the next one that can be reached"
            leaving = asyncio.create_task(second.move(5.0))
            await asyncio.sleep(0.2)
            await there.send(b"until there is another one the home serves")
            assert await _take(here, 1) == [b"until there is another one the home serves"]
            assert not leaving.done()
            with pytest.raises(ConnectError, match=r"no other node in 5 s: .* is the home to leave"):
                await leaving
            await there.send(b"still at home")
            assert await _take(here, 1) == [b"still at home"]
            assert (second.home, there.resumes) == ("local-1", 0), "its stream was never cut"
