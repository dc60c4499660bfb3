"""hermesctl chat with a store in two real terminals: after SIGKILL of either nothing is lost or doubled; errors are a line."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.terminals import Terminal

HERMESCTL = [sys.executable, "-m", "hermes_ctl.cli", "chat"]
BURST = 12

pytestmark = pytest.mark.timeout(300)


class Side:
    """One person at one terminal, in one start after the other."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command
        self.heard: list[str] = []
        self.said: list[str] = []
        self.typed = 0
        self.terminal = Terminal(command)

    async def start(self, stack: AsyncExitStack, *arguments: str) -> Terminal:
        self.terminal = await stack.enter_async_context(Terminal([*self.command, *arguments]))
        return self.terminal

    async def restart(self, stack: AsyncExitStack) -> None:
        """The same command again: what it shows of the last start is all of it, and what that start showed is the same."""
        before = self.split(self.terminal.lines)[1]
        terminal = await self.start(stack)
        await terminal.shown("* chatting with")
        history = self.split(terminal.lines)[0]
        assert history[: len(before)] == before, "shown and not kept"
        self.heard += history
        mine = re.findall(r"^you> (\S+ (\d+))  (\S+)", "\n".join(terminal.lines), flags=re.MULTILINE)
        # What was typed and not sent is sent by this start, and is of this start: the next one shows it again.
        self.said += [text for text, _, mark in mine if mark != "…"]
        self.typed = int(mine[-1][1])

    def split(self, lines: list[str]) -> tuple[list[str], list[str]]:
        """What the other said in the start before, and in this one."""
        begins = next((index for index, line in enumerate(lines) if line.startswith("* chatting with")), len(lines))
        parts = ["\n".join(lines[:begins]), "\n".join(lines[begins:])]
        history, live = (re.findall(r"^other> (.+)", part, flags=re.MULTILINE) for part in parts)
        return history, live

    def type_more(self, count: int = BURST) -> None:
        for _ in range(count):
            self.typed += 1
            self.terminal.type(f"{self.name} {self.typed}")

    async def all_taken(self) -> None:
        self.type_more(1)
        await self.terminal.shown(f"{self.typed} taken")


async def test_two_terminals_go_on_after_sigkill_and_each_line_is_there_once(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("of a test\n")
    async with LocalMesh(2) as mesh, AsyncExitStack() as stack:
        addresses = [node.app for node in mesh.nodes]

        def command(store: str, order: list[str]) -> list[str]:
            where = ["--addresses", ",".join(order), "--ca", str(mesh.ca_file)]
            return [*HERMESCTL, *where, "--store", str(tmp_path / store), "--passphrase-file", str(passphrase)]

        one, two = Side("one", command("a", addresses)), Side("two", command("b", addresses[::-1]))
        terminal = await one.start(stack)
        invitation = await terminal.shown("--to")
        await (await two.start(stack, "--to", invitation.split()[-1])).shown("* chatting with")
        for side in (one, two):
            side.terminal.type("/name other")
            await side.terminal.shown("is other")
        for killed in ([one], [two], [one, two], [two], [one]):
            for side in (one, two):
                side.type_more()
            for (
                side
            ) in killed:  # both, before one is killed: an app that is back says nothing new before it heard the other one
                half = side.typed - BURST // 2
                await side.terminal.shown(f"✓ {half} sent", f"… {half} kept")
            for side in killed:
                await side.terminal.kill()
            for side in killed:
                await side.restart(stack)
        await asyncio.gather(one.all_taken(), two.all_taken())
        for side in (one, two):
            side.terminal.type("/rekey", "/move", "/status")
            await side.terminal.shown("new keys: epoch")
            await side.terminal.shown("* moved to local-")
            await side.all_taken()
        for side in (one, two):
            side.terminal.type("/history", "/names")
            await side.terminal.shown("* other  ")
            side.heard += list(dict.fromkeys(side.split(side.terminal.lines)[1]))
        for side, other in ((one, two), (two, one)):
            assert side.heard == [f"{other.name} {number}" for number in range(1, other.typed + 1)]
            assert side.said == [f"{side.name} {number}" for number in range(1, len(side.said) + 1)]
        two.terminal.type("/delete")
        await one.terminal.shown("the chat is over (DELETED_BY_PEER)")
        assert [await side.terminal.ended() for side in (one, two)] == [0, 0]
        assert not [word for word in (b"other", b"one 1") if word in read_all(tmp_path)]


def read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("app.db*"))


async def run_once(*arguments: str) -> tuple[int, list[str]]:
    async with Terminal([*HERMESCTL, *arguments]) as terminal:
        return await terminal.ended(), terminal.lines


async def test_one_ctrl_c_ends_the_question_for_the_passphrase(tmp_path: Path) -> None:
    base = ["--plain", "--addresses", "127.0.0.1:1", "--store", str(tmp_path / "store")]
    async with Terminal([*HERMESCTL, *base]) as asking:
        await asking.asked("passphrase of the store: ")
        await asking.rests()  # Python reads first and sees a signal then that came in between: nobody's hand is that quick
        asking.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await asking.ended() == 130


async def test_what_is_wrong_with_a_store_is_one_line_with_the_cure(tmp_path: Path) -> None:
    store, passphrase, wrong = tmp_path / "store", tmp_path / "passphrase", tmp_path / "wrong"
    passphrase.write_text("right")
    wrong.write_text("wrong")
    async with LocalMesh(1, app_tls=False) as mesh:
        base = ["--plain", "--addresses", mesh.nodes[0].app, "--store", str(store)]
        async with Terminal([*HERMESCTL, *base]) as first:
            await first.asked("passphrase of the store: ")
            first.type("right")
            await first.asked("once more, it is a new one: ")
            first.type("right")
            who = (await first.shown("connected to")).split()[-1]
            code, lines = await run_once(*base, "--passphrase-file", str(passphrase))
            cure = "end that one, or give another --store: one process, one store"
            assert (code, lines) == (75, [f"hermesctl: another process has the store {store} open; {cure}"])
        code, lines = await run_once(*base, "--passphrase-file", str(wrong))
        cure = "give the one it was made with (--passphrase-file, or typed when asked)"
        assert (code, lines) == (71, [f"hermesctl: the passphrase does not open the store {store}; {cure}"])
        code, lines = await run_once(*base, "--passphrase-file", str(tmp_path / "none"))
        assert (code, lines) == (
            2,
            [f"hermesctl: --passphrase-file: cannot read {tmp_path / 'none'}: No such file or directory"],
        )
        code, lines = await run_once(*base, "--passphrase-file", str(passphrase), "--to", "nobody")
        assert (code, lines[-1]) == (2, "hermesctl: --to nobody: neither an app id nor a name of this store's book (none yet)")
        base[-1] = str(passphrase / "below")
        code, lines = await run_once(*base, "--passphrase-file", str(passphrase))
        assert (code, lines) == (2, [f"hermesctl: --store {base[-1]}: Not a directory; give a directory that can be written"])
        base[-1] = str(store)
        async with Terminal([*HERMESCTL, *base, "--passphrase-file", str(passphrase)]) as again:
            assert (await again.shown("connected to")).split()[-1] == who, "the identity stays"
