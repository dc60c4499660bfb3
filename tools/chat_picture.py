"""The picture of `hermesctl chat` in the docs, from a real run: `python -m tools.chat_picture` writes docs/pictures/chat.svg.

Two nodes are processes of this machine, so are both terminals; one is killed with SIGKILL while the other goes on writing. What
is in the picture is what they showed; the command lines are shortened, and ids differ from run to run.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.terminals import Terminal

PICTURE: Final = Path(__file__).parents[1] / "docs" / "pictures" / "chat.svg"
WIDTH: Final = 156
LEFT_OUT: Final = ("connected to", "waiting for a call", "hermesctl chat", "    ")
STYLES: Final = (("*", "dim"), ("  ✓✓", "green"), ("  ", "yellow"), ("bob>", "cyan"), ("alice>", "magenta"), ("$", "bold"))
FONT_OF_THE_NET: Final = ("@font-face", "}")


class Screen:
    """What one person sees, in all starts of the program."""

    def __init__(self, name: str, command: list[str], shown: str) -> None:
        self.name = name
        self._command = command
        self._shown = shown
        self.text = Text()
        self.terminal = Terminal(command)

    async def start(self, stack: AsyncExitStack, *arguments: str) -> Terminal:
        self.note("$ " + " ".join([self._shown, *(argument[:12] for argument in arguments)]))
        self.terminal = await stack.enter_async_context(Terminal([*self._command, *arguments], on_line=self._see))
        return self.terminal

    def note(self, line: str, style: str = "") -> None:
        known = next((style for begin, style in STYLES if line.startswith(begin)), "")
        self.text.append(line + "\n", style or known)

    def _see(self, line: str) -> None:
        if line.strip() and not line.startswith(LEFT_OUT):
            self.note(line)


async def play(folder: Path) -> tuple[Screen, Screen]:
    passphrase = folder / "passphrase"
    passphrase.write_text("of a picture")
    async with LocalMesh(2) as mesh, AsyncExitStack() as stack:
        addresses = [node.app for node in mesh.nodes]

        def screen(name: str, order: list[str]) -> Screen:
            where = ["--addresses", ",".join(order), "--ca", str(mesh.ca_file)]
            kept = ["--store", str(folder / name), "--passphrase-file", str(passphrase)]
            return Screen(
                name,
                [sys.executable, "-m", "hermes_ctl.cli", "chat", *where, *kept],
                f"hermesctl chat --addresses … --store {name}",
            )

        alice, bob = screen("alice", addresses), screen("bob", addresses[::-1])
        invitation = (await (await alice.start(stack)).shown("--to")).split()[-1]
        await (await bob.start(stack, "--to", invitation)).shown("* chatting with")
        await alice.terminal.shown("* chatting with")
        await _say(alice, "/name bob", "is bob")
        await _say(bob, "/name alice", "is alice")
        await _say(bob, "are you there?", "1 taken")
        await _say(alice, "always. shall we meet at noon?", "1 taken")
        await alice.terminal.kill()
        alice.note("Killed", "bold red")
        await bob.terminal.shown("the path is down")
        await _say(bob, "noon is fine", "2 kept")
        await _say(bob, "bring the keys", "3 kept")
        await (await alice.start(stack)).shown("bring the keys")
        await bob.terminal.shown("3 taken")
        await _say(alice, "/rekey", "epoch 2")
        await _say(alice, "/move", "* moved to")
        await _say(alice, "on my way", "2 taken")
        await bob.terminal.shown("on my way")
    return alice, bob


async def _say(screen: Screen, text: str, until: str) -> None:
    seen = len(screen.terminal.lines)
    screen.terminal.type(text)
    await screen.terminal.shown(until, after=seen)


def draw(alice: Screen, bob: Screen) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    half = WIDTH // 2 - 1
    rows = max(len(screen.text.plain.splitlines()) for screen in (alice, bob)) + 2
    panels = [Panel(screen.text, title=screen.name, width=half, height=rows) for screen in (alice, bob)]
    console.print(Group(Columns(panels, padding=(0, 1))))
    picture = console.export_svg(title="hermesctl chat", unique_id="chat")
    lines, inside = [], False
    for line in picture.splitlines():  # a page shows it without asking anybody for a font
        inside = inside or line.strip().startswith(FONT_OF_THE_NET[0])
        if not inside:
            lines.append(line.rstrip())
        inside = inside and line.strip() != FONT_OF_THE_NET[1]
    return "\n".join(lines) + "\n"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hermes-picture-") as folder:
        alice, bob = asyncio.run(play(Path(folder)))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(alice, bob))
    return 0


if __name__ == "__main__":
    sys.exit(main())
