"""The client library when a home says that it leaves: for good, and chats move while it still serves, or for a restart."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest

from hermes_client import Chat, ClientTls, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.params import AppParams
from hermes_ctl import cli
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready, wait_until

PATIENCE_S = 60.0
"""Longer than any test here takes: who moves does so because it was told."""
CHATS = 4
EVERY_S = 0.02
SILENCE_S = 5.0
"""A move takes some 50 ms; the rest is for a machine that has more to do."""

pytestmark = pytest.mark.timeout(90)


@dataclass(slots=True)
class Talk:
    """One direction of a chat under steady traffic: what was said, what came, and the longest time in which nothing did."""

    sender: Chat
    receiver: Chat
    said: int = 0
    came: list[bytes] = field(default_factory=list)
    silence_s: float = 0.0

    async def say(self, stop: asyncio.Event) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            await self.sender.send(b"%d" % number)
            self.said = number + 1
            await asyncio.sleep(EVERY_S)

    async def hear(self) -> None:
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        async for message in self.receiver:
            now = loop.time()
            self.silence_s, heard_at = max(self.silence_s, now - heard_at), now
            self.came.append(message.content)


async def _open_chats(caller: HermesClient, callee: HermesClient) -> list[tuple[Chat, Chat]]:
    """`CHATS` chats, as (the caller's end, the other's)."""
    theirs: dict[bytes, Chat] = {}

    async def accept() -> None:
        async for offer in callee.offers():
            chat = await offer.accept()
            theirs[chat.chat_id] = chat
            if len(theirs) == CHATS:
                return

    await caller.wait_for_app(callee.app_id)
    accepting = asyncio.create_task(accept())
    ours = [await caller.start_chat(callee.app_id) for _ in range(CHATS)]
    await accepting
    return [(chat, theirs[chat.chat_id]) for chat in ours]


async def _count_chats(mesh: LocalMesh, index: int) -> int:
    return int((await ask_admin(mesh, index, "GET", "/resume"))[1]["live_chats"])


@pytest.mark.parametrize("second_home", [1, 0], ids=["one-home", "both-homes"])
async def test_chats_move_at_once_from_a_home_that_leaves_for_good_while_it_still_serves(second_home: int) -> None:
    """Under traffic both ways: nothing lost, doubled or reordered, no silence longer than the move itself takes."""
    params = AppParams(home_patience_s=PATIENCE_S)
    async with LocalMesh(3, settings=QUICK) as mesh:
        await wait_ready(mesh)
        addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)
        order = addresses[second_home:] + addresses[:second_home]
        async with (
            HermesClient(addresses, tls=tls, params=params) as first,
            HermesClient(order, tls=tls, params=params) as second,
        ):
            pairs = await _open_chats(first, second)
            talks = [Talk(*ends) for pair in pairs for ends in (pair, pair[::-1])]
            stop = asyncio.Event()
            hearing = [asyncio.create_task(talk.hear()) for talk in talks]
            saying = [asyncio.create_task(talk.say(stop)) for talk in talks]
            await asyncio.sleep(1.0)
            token_file = str(mesh.folder / "admin-token")
            arguments = ["drain", "--admin", f"http://{mesh.nodes[0].admin}", "--token-file", token_file]
            code = await asyncio.to_thread(cli.main, [*arguments, "--chats", "move", "--wait", "45"])
            assert code == 0, "chats were left"
            assert await _count_chats(mesh, 0) == 0
            assert "local-0" not in {first.home, second.home}
            assert mesh.nodes[0].process is not None
            assert mesh.nodes[0].process.poll() is None, "the old home still serves"
            await asyncio.sleep(1.0)
            stop.set()
            await asyncio.gather(*saying)
            async with asyncio.timeout(20):
                while any(len(talk.came) < talk.said for talk in talks):  # noqa: ASYNC110 - the end of what was said
                    await asyncio.sleep(0.02)
            for task in hearing:
                task.cancel()
            for talk in talks:
                assert talk.came == [b"%d" % number for number in range(talk.said)]
            assert max(talk.silence_s for talk in talks) < SILENCE_S


async def test_a_home_that_restarts_is_waited_for_as_long_as_it_asked_and_then_the_patience() -> None:
    """The patience is far shorter than the restart takes, and no chat moves."""
    params = AppParams(home_patience_s=0.3)
    async with LocalMesh(2, settings=QUICK) as mesh:
        await wait_ready(mesh)
        addresses, tls = [node.app for node in mesh.nodes], ClientTls(ca_file=mesh.ca_file)
        async with (
            HermesClient(addresses, tls=tls, params=params) as first,
            HermesClient(addresses[1:], tls=tls, params=params) as second,
        ):
            pairs = await _open_chats(first, second)
            status, left = await ask_admin(mesh, 0, "POST", "/drain?chats=resume&back_within_s=30")
            assert (status, left["live_chats"]) == (200, CHATS)
            await asyncio.sleep(0.3)
            await mesh.kill(0)
            await asyncio.sleep(2.0)
            assert not first.connected
            await mesh.start(0)
            await first.wait_connected(20)
            assert first.home == "local-0"
            for here, there in pairs:
                await here.send(b"back")
                assert await _take_one(there) == b"back"


async def _take_one(chat: Chat) -> bytes:
    async with asyncio.timeout(20):
        async for message in chat:
            return message.content
    raise AssertionError("the chat ended")


async def test_without_another_node_the_home_that_leaves_is_kept_to_its_end_and_taken_up_again() -> None:
    params = AppParams(home_patience_s=PATIENCE_S)
    async with LocalMesh(1, settings=QUICK) as mesh:
        tls = ClientTls(ca_file=mesh.ca_file)
        async with (
            HermesClient(mesh.nodes[0].app, tls=tls, params=params) as first,
            HermesClient(mesh.nodes[0].app, tls=tls, params=params) as second,
        ):
            here, there = (await _open_chats(first, second))[0]
            assert (await ask_admin(mesh, 0, "POST", "/drain?chats=move"))[0] == 200
            await wait_logged(mesh.nodes[0], "node_draining", for_good=True)
            await asyncio.sleep(2.5)
            await here.send(b"it still serves")
            assert await _take_one(there) == b"it still serves"
            await mesh.kill(0)
            await mesh.start(0)

            async def resumed() -> bool:
                return first.connected and second.connected

            await wait_until(resumed)
            await there.send(b"it is back")
            assert await _take_one(here) == b"it is back"


def test_what_the_command_cannot_mean_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["drain", "--admin", "http://127.0.0.1:1", "--token-file", "x", "--chats", "away"])
    assert "invalid choice: 'away'" in capsys.readouterr().err
