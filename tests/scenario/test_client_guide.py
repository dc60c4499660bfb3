"""Every block of Python in the guide for app developers runs as it stands there, against a mesh of the guide's own kind."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hermes_client import AppStore, Chat, ClientTls, HermesClient
from hermes_client.testing import TestMesh, mesh
from hermes_core.crypto.kdf_argon2 import Argon2Params
from tests.support.terminals import Terminal

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs" / "guides" / "client.md").read_text(), flags=re.DOTALL | re.MULTILINE
)
CHEAP = Argon2Params(8192, 1, 1)

pytestmark = pytest.mark.timeout(120)


def load_guide() -> dict[str, Any]:
    """Everything that the blocks define, one after the other in one module."""
    space: dict[str, Any] = {"__name__": "guide"}
    for block in BLOCKS:
        exec(compile(block, "docs/guides/client.md", "exec"), space)  # noqa: S102 - our own page
    return space


GUIDE = load_guide()
RUN_HERE = {
    "answer", "hello", "go_on", "take_all", "count_words", "say", "impatient", "elsewhere",
    "test_my_app_goes_on_after_its_node_restarted",
}  # fmt: skip


@asynccontextmanager
async def chatting(here: TestMesh, **options: Any) -> AsyncIterator[tuple[HermesClient, HermesClient, Chat, Chat]]:
    """An app of the reader's, with `options`, and another one."""
    async with here.client(0, **options) as mine, here.client(1) as theirs:
        await mine.wait_for_app(theirs.app_id)
        starting = asyncio.create_task(GUIDE["go_on"](mine, theirs.app_id))
        there = await (await anext(theirs.offers())).accept()
        yield mine, theirs, await starting, there


def test_each_function_of_the_guide_is_run_here() -> None:
    assert {name for name, value in GUIDE.items() if getattr(value, "__module__", "") == "guide"} == RUN_HERE


async def test_the_first_program_in_two_terminals(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(BLOCKS[0])
    async with mesh(nodes=2) as here:
        command = [sys.executable, str(tmp_path / "hello.py"), ",".join(here.addresses), str(here.ca_file)]
        async with Terminal([*command, str(tmp_path / "one.db")]) as one:
            app_id = (await one.shown("I am")).split()[-1]
            async with Terminal([*command, str(tmp_path / "two.db"), app_id]) as two:
                assert await two.ended() == 0
                assert two.lines[-1] == "you said hello"


async def test_a_database_has_each_message_once() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE inbox (chat, seq, content, PRIMARY KEY (chat, seq))")
    async with mesh(nodes=2) as here, chatting(here) as (_, _, chat, there):
        database.execute("INSERT INTO inbox VALUES (?, 1, ?)", (chat.chat_id, b"1"))  # killed before it was acknowledged
        taking = asyncio.create_task(GUIDE["take_all"](chat, database))
        for number in range(1, 5):
            await there.send(str(number).encode())
        await there.drain()
        await there.delete()
        await taking
    assert database.execute("SELECT seq, content FROM inbox").fetchall() == [(n, str(n).encode()) for n in range(1, 5)]
    database.close()


async def test_words_are_counted_once_across_starts(tmp_path: Path) -> None:
    def store() -> AppStore:
        return AppStore(tmp_path / "app.db", "secret", argon2=CHEAP)

    async with mesh(nodes=2) as here:
        first = store()
        async with chatting(here, store=first) as (mine, theirs, chat, there):
            await there.send(b"three words here")
            await there.send(b"")
            assert await GUIDE["count_words"](chat, first) == 3
            await there.send(b"two more")
            await there.send(b"")
            await mine.close()
            second = store()
            async with here.client(0, store=second) as again:
                assert await GUIDE["count_words"](await GUIDE["go_on"](again, theirs.app_id), second) == 5
                assert len(again.chats) == 1, "it was the same chat"


async def test_say_tells_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with mesh(nodes=2) as here, chatting(here) as (_, _, chat, there):
        taking = asyncio.create_task(anext(there))
        saying = asyncio.create_task(GUIDE["say"](chat, "hello"))
        (await taking).ack()
        assert await saying is True
        await there.delete()
        await chat.wait_ended(10.0)
        assert await GUIDE["say"](chat, "too late") is False
    assert capsys.readouterr().out == "over: DELETED_BY_PEER\n"


async def test_an_app_moves_when_it_wants_to_and_when_it_is_impatient(capsys: pytest.CaptureFixture[str]) -> None:
    async with mesh(nodes=3) as here:
        client = GUIDE["impatient"]([*here.addresses], ClientTls(ca_file=here.ca_file), None)
        async with client as mine, here.client(2) as theirs:
            await mine.wait_for_app(theirs.app_id)
            starting = asyncio.create_task(mine.start_chat(theirs.app_id))
            there = await (await anext(theirs.offers())).accept()
            chat = await starting
            home = await GUIDE["elsewhere"](mine)
            assert capsys.readouterr().out == f"moved from test-0 to {home}\n"
            await here.lose(int(home.removeprefix("test-")))
            await chat.send(b"from a third home")
            async with asyncio.timeout(30):
                assert (await anext(there)).content == b"from a third home"
            assert mine.home != home


async def test_the_test_of_the_guide_passes_and_fails_when_the_node_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    test = GUIDE["test_my_app_goes_on_after_its_node_restarted"]
    await test()

    async def stay_away(*_: object) -> None:
        raise AssertionError("it stays away")

    original, starts = TestMesh.start, 0

    async def start_twice(here: TestMesh, node: int) -> None:
        nonlocal starts
        starts += 1
        await (original(here, node) if starts <= 2 else stay_away())

    monkeypatch.setattr(TestMesh, "start", start_twice)
    with pytest.raises(AssertionError, match="stays away"):
        await test()
