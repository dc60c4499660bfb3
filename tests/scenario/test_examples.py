"""The examples do what their page says, in processes of their own, some of which are killed with SIGKILL on the way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import runpy
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from hermes_client import AppStore, Chat, HermesClient, Message, StateLostError
from hermes_client.testing import TestMesh, mesh
from hermes_core.endpoint.events import Missing, StoresDiffer
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import CloseReason
from tests.support.terminals import Terminal

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE_BYTES = 10_000_000
"""More than a window has room for, several times."""

pytestmark = pytest.mark.timeout(300)


def example(here: TestMesh, name: str, *arguments: object) -> Terminal:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), ",".join(here.addresses), str(here.ca_file)]
    return Terminal([*command, *map(str, arguments)], {"HERMES_EXAMPLE_PASSPHRASE": "of a test"})


async def say(chat: Chat, *contents: bytes) -> list[bytes]:
    for content in contents:
        await chat.send(content)
    heard = []
    async for message in chat:
        heard.append(message.content)
        if len(heard) == len(contents):
            message.ack()
            break
    return heard


class ForgetfulChat:
    """One message comes; while it is answered it turns out that a store is an older copy."""

    ended: CloseReason | None = None
    last_sent = 0

    def __init__(self) -> None:
        chat_id, nothing = ChatId(bytes(16)), Missing(1, 0)
        self.errors = [StateLostError(StoresDiffer(chat_id, True, nothing, nothing))]
        self.sent: list[bytes] = []
        self.to_come = [Message(1, b"echo")]

    async def send(self, content: bytes) -> None:
        if self.errors:
            raise self.errors.pop()
        self.sent.append(content)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if not self.to_come:
            self.ended = CloseReason.DELETED
            raise StopAsyncIteration
        return self.to_come.pop()


async def test_the_echo_bot_answers_what_it_was_about_to_answer_when_a_store_turned_out_to_be_old() -> None:
    chat = ForgetfulChat()
    await runpy.run_path(str(EXAMPLES / "echo_bot.py"))["echo"](chat)
    assert chat.sent == [b"echo"]


async def test_the_echo_bot_serves_two_chats_and_goes_on_with_both_after_sigkill(tmp_path: Path) -> None:
    async with mesh(nodes=2) as here, here.client(1) as one, here.client(1) as two:
        async with example(here, "echo_bot", tmp_path / "bot.db") as bot:
            bot_id = AppId((await bot.shown("is at home on")).split()[0])
            await one.wait_for_app(bot_id)
            chats = [await client.start_chat(bot_id) for client in (one, two)]
            assert [await say(chat, b"a", b"b") for chat in chats] == [[b"a", b"b"]] * 2
            await chats[0].drain()
        for chat in chats:
            await chat.wait(lambda chat=chat: not chat.up)  # type: ignore[misc]
        async with example(here, "echo_bot", tmp_path / "bot.db") as bot:
            assert (await bot.shown("is at home on")).endswith("with 2 chats")
            assert await asyncio.gather(*(say(chat, b"c") for chat in chats)) == [[b"c"]] * 2


async def test_a_file_arrives_whole_although_both_sides_are_killed_on_the_way(tmp_path: Path) -> None:
    source, folder = tmp_path / "a file.bin", tmp_path / "arrived"
    source.write_bytes(random.Random(11).randbytes(FILE_BYTES))
    async with mesh(nodes=2) as here:

        def receiver() -> Terminal:
            return example(here, "receive_file", tmp_path / "receiver.db", folder)

        async with receiver() as first:
            app_id = (await first.shown("receiving as")).split()[-1]

            def sender() -> Terminal:
                return example(here, "send_file", tmp_path / "sender.db", app_id, source)

            async with sender() as sending:
                await first.shown("received ")
                await first.kill()
                assert "sent 100 %" not in sending.text, "it was faster than who has to take it"
                async with receiver() as second:
                    await second.shown("received ")
                    await sending.kill()
                    async with sender() as again:
                        verdict = f"whole: {source.name}, {FILE_BYTES} bytes"
                        assert await again.ended() == 0
                        assert again.lines[-1] == verdict
                        await second.shown(verdict)
    sent = [int(number) for number in re.findall(r"^sent (\d+) %", sending.text + "\n" + again.text, flags=re.MULTILINE)]
    assert sent == sorted(sent), "it went on where it was"
    assert sent[-1] == 100
    arrived = [path.name for path in folder.iterdir()]
    assert arrived == [source.name]
    assert hashlib.sha256((folder / source.name).read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()


async def test_a_piece_is_acknowledged_once_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGKILL cannot show this, a loss of power would."""
    example_of = runpy.run_path(str(EXAMPLES / "receive_file.py"))
    synced, handed = [0], [0]
    acknowledged: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(handed[-1]))

    def acknowledge(seq: int) -> None:
        acknowledged.append(seq)
        assert seq <= synced[-1]

    async def pieces() -> AsyncIterator[Message]:
        for seq in range(2, 102):
            handed.append(seq)
            yield Message(seq, bytes(example_of["PIECE_BYTES"]), acknowledge)

    head = {"name": "x", "bytes": 100 * example_of["PIECE_BYTES"], "sha256": ""}
    last = await example_of["write_pieces"](pieces(), example_of["Arrival"](head, tmp_path, "key"))
    assert (last.seq, synced[-1], acknowledged) == (101, 101, [32, 64, 96])


async def test_a_receiver_says_so_when_a_file_is_not_what_was_promised(tmp_path: Path) -> None:
    source = tmp_path / "file.bin"
    source.write_bytes(b"promised")
    async with mesh() as here, example(here, "receive_file", tmp_path / "receiver.db", tmp_path / "arrived") as receiver:
        app_id = AppId((await receiver.shown("receiving as")).split()[-1])
        store = AppStore(tmp_path / "sender.db", "of a test")
        async with here.client(store=store) as liar:
            await liar.wait_for_app(app_id)
            for head, content, verdict in (
                (b'{"name": "file.bin", "bytes": 8, "sha256": "00"}', b"altered!", b"damaged: file.bin, 8 bytes"),
                (b'{"name": "../x", "bytes": 8, "sha256": "00"}', b"", None),
                (b"no head", b"", None),
            ):
                chat = await liar.start_chat(app_id)
                await chat.send(head)
                if verdict is None:
                    await chat.wait_ended(30)
                else:
                    assert await say(chat, content) == [verdict]
                    await chat.delete()
        assert not (tmp_path / "arrived" / "file.bin").exists()
        assert not (tmp_path / "x").exists()


def start_wrongly(name: str, *arguments: str, passphrase: bool = True) -> str:
    """What it says when it cannot even begin."""
    clean = {key: value for key, value in os.environ.items() if key != "HERMES_EXAMPLE_PASSPHRASE"}
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    environment = clean | ({"HERMES_EXAMPLE_PASSPHRASE": "of a test"} if passphrase else {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.strip()


@pytest.mark.parametrize(("name", "arguments"), [("echo_bot", 3), ("receive_file", 4), ("send_file", 5)])
def test_an_example_that_is_started_wrongly_says_how(name: str, arguments: int) -> None:
    for said in (start_wrongly(name, "one"), start_wrongly(name, *["x"] * arguments, passphrase=False)):
        assert f"python {name}.py ADDRESSES CA_FILE STORE" in said
        assert "HERMES_EXAMPLE_PASSPHRASE" in said
        assert "Traceback" not in said


def test_a_file_that_cannot_be_read_is_one_line_before_anybody_is_called(tmp_path: Path) -> None:
    missing = tmp_path / "nothing.bin"
    said = start_wrongly("send_file", "127.0.0.1:1", "ca.crt", str(tmp_path / "sender.db"), "a" * 32, str(missing))
    assert said == f"send_file: [Errno 2] No such file or directory: '{missing}'"


async def test_a_sender_whose_disk_fails_does_not_wait_for_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_EXAMPLE_PASSPHRASE", "of a test")
    source = tmp_path / "file.bin"
    source.write_bytes(b"unreadable soon")
    main = runpy.run_path(str(EXAMPLES / "send_file.py"))["main"]

    async def fail(*_: object) -> None:
        raise OSError("the disk failed")

    monkeypatch.setitem(main.__globals__, "send", fail)
    async with mesh() as here, here.client() as friend:
        accepting = asyncio.create_task(_accept(friend))
        with pytest.raises(OSError, match="the disk failed"):
            async with asyncio.timeout(60):
                await main(",".join(here.addresses), str(here.ca_file), tmp_path / "sender.db", friend.app_id, source)
        await accepting


async def _accept(client: HermesClient) -> Chat:
    return await (await anext(client.offers())).accept()
