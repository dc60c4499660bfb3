"""One conversation: lines that are typed become messages, messages become lines, each with a mark of how far it has come."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from hermes_client import Chat, ChatEndedError, ClientClosedError, HermesClient, StateLostError
from hermes_core.errors import HermesError
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES
from hermes_ctl.chat.chat_log import ChatLog, Line

HELP: Final = """* /name NAME  what the other app is called here
* /names      all names
* /history    what was said since the last start
* /status     epoch, path, home
* /rekey      new keys
* /move       make another node home, the next that can be reached
* /quit       leave; with a store the chat goes on later, without one it ends
* /delete     end the chat for both
* /help       this
* //TEXT      send /TEXT: a line that begins with a slash
* marks: ✓ sent, ✓✓ taken by the other app, … kept until the path is back"""
COMMANDS: Final = re.findall(r"/[a-z]+", HELP)
DRAIN_S: Final = 5.0
"""What was typed last has so long to arrive when the terminal leaves; with a store it arrives later, else it is waited for."""
NAME_CHARS: Final = 32

Show = Callable[[str], None]


class Conversation:
    """`show` gets one line, or a few, for everything that happens."""

    def __init__(self, client: HermesClient, chat: Chat, log: ChatLog, show: Show, *, kept: bool) -> None:
        """`kept`: what is not taken when the terminal leaves is in a store."""
        self._client = client
        self._chat = chat
        self._log = log
        self._show = show
        self._kept = kept

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Until either app ends the chat, the lines end, or /quit. ClientClosedError and errors of the store end it as well."""
        chat = self._chat
        if self._log.lines(chat.chat_id):
            self._show("* since the last start:")
            self._show_history()
        self._show(f"* chatting with {self._name}, epoch {chat.epoch}; /help lists commands")
        work = [asyncio.create_task(self._receive()), asyncio.create_task(self._send_lines(lines))]
        watching = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*work, watching):
                task.cancel()
            await asyncio.gather(*work, watching, return_exceptions=True)

    @property
    def _name(self) -> str:
        return self._log.name_of(self._chat.peer)

    # what comes

    async def _receive(self) -> None:
        """ChatEndedError is shown, and is the end."""
        chat = self._chat
        while True:
            try:
                async for message in chat.messages():
                    if not self._log.has(chat.chat_id, message.seq):
                        await self._log.add(chat.chat_id, message.seq, message.content, outgoing=False)
                        self._show(f"{self._name}> {printable(message.content)}")
                    message.ack()
                break
            except StateLostError as lost:  # told once; the chat goes on
                self._show(f"* {lost}")
            except ChatEndedError as error:
                self._show(f"* {error}")
                break
        if chat.ended is not None:
            self._show(f"* the chat is over ({chat.ended.name}), its keys are wiped")
            await self._log.forget(chat.chat_id)

    async def _watch(self) -> None:
        """Show changes of path, keys and what the other app has taken."""
        chat = self._chat
        up, epoch, taken = chat.up, chat.epoch, chat.acknowledged
        while True:
            await chat.wait(lambda: (chat.up, chat.epoch, chat.acknowledged) != (up, epoch, taken))  # noqa: B023 - at once
            if chat.ended is not None:
                return
            if chat.acknowledged != taken:
                which = str(chat.acknowledged) if chat.acknowledged == taken + 1 else f"{taken + 1} to {chat.acknowledged}"
                self._show(f"  ✓✓ {which} taken")
            if chat.epoch != epoch:
                self._show(f"* new keys: epoch {chat.epoch}")
            if chat.up != up:
                self._show("* the path is back" if chat.up else "* the path is down; what you write is kept until it is back")
            up, epoch, taken = chat.up, chat.epoch, chat.acknowledged

    # what is typed

    async def _send_lines(self, lines: AsyncIterator[str]) -> None:
        chat = self._chat
        for line in self._log.take_unsent(chat.chat_id, chat.last_sent):
            await self._send(line)
        async for typed in lines:
            text = typed.strip()
            if text.startswith("/") and not text.startswith("//"):
                if await self._obey(text):
                    break
            elif text:
                await self._say(text.removeprefix("/").encode())
        if chat.ended is None:
            try:
                await chat.drain(DRAIN_S)
            except TimeoutError:
                if self._kept:
                    self._show(f"* {chat.unacknowledged} not taken yet; the next start sees to it")
                else:
                    self._show(f"* waiting for {chat.unacknowledged} to be taken: nothing keeps them; Ctrl-C leaves at once")
                    await chat.drain()

    async def _say(self, content: bytes) -> None:
        if len(content) > MAX_CONTENT_BYTES:
            self._show(f"* too long: a message has at most {MAX_CONTENT_BYTES // 1024} KiB")
            return
        await self._send(await self._log.add(self._chat.chat_id, self._chat.last_sent + 1, content, outgoing=True))

    async def _send(self, line: Line) -> None:
        """It is in the log already: whoever kills the terminal now finds it sent, or sent by the next start."""
        while True:
            try:
                seq = await self._chat.send(line.content)
            except StateLostError as lost:
                self._show(f"* {lost}")
                continue
            if seq != line.seq:
                await self._log.renumber(line, seq)
            self._show(f"  ✓ {seq} sent" if self._chat.up else f"  … {seq} kept until the path is back")
            return

    async def _obey(self, command: str) -> bool:
        """Run a command; True ends the conversation."""
        word, _, rest = command.partition(" ")
        chat = self._chat
        match word:
            case "/quit":
                return True
            case "/delete":
                await chat.delete()
                await self._log.forget(chat.chat_id)
                return True
            case "/rekey":
                await self._try("no new keys", self._rekey)
            case "/move":
                await self._try("not moved", self._move)
            case "/history":
                self._show_history()
            case "/name":
                await self._set_name(rest.strip())
            case "/names":
                self._show("\n".join(f"* {name}  {app_id}" for name, app_id in self._log.names.items()) or "* no names yet")
            case "/status":
                path = "up" if chat.up else "down"
                counts = f"{chat.unacknowledged} unacknowledged, {chat.resumes} resumes"
                self._show(f"* epoch {chat.epoch}, path {path}, home {self._client.home}, {counts}")
            case "/help":
                self._show(HELP)
            case _:
                self._show(f"* {describe_unknown(word)}")
        return False

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ChatEndedError, ClientClosedError):
            raise
        except HermesError as error:
            self._show(f"* {what}: {error}")

    async def _rekey(self) -> None:
        await self._chat.rekey()

    async def _move(self) -> None:
        self._show(f"* moved to {await self._client.move()}")

    async def _set_name(self, name: str) -> None:
        if not name.isprintable() or not name or len(name) > NAME_CHARS or name.startswith("/") or " " in name:
            self._show(f"* /name NAME: one word of at most {NAME_CHARS} characters")
            return
        await self._log.set_name(name, self._chat.peer)
        self._show(f"* {self._chat.peer} is {name}")

    def _show_history(self) -> None:
        chat = self._chat
        for line in self._log.lines(chat.chat_id):
            mark = ""
            if line.outgoing:
                mark = "  ✓✓" if line.seq <= chat.acknowledged else "  ✓" if line.seq <= chat.last_sent else "  …"
            self._show(f"{'you' if line.outgoing else self._name}> {printable(line.content)}{mark}")


def describe_unknown(word: str) -> str:
    """What is told of a command that is none; `word`: "/" and whatever was typed after it, up to a space."""
    named = word if len(word) <= NAME_CHARS else f"{word[:NAME_CHARS]}…"
    close = difflib.get_close_matches(word[:NAME_CHARS].lower(), COMMANDS, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"unknown command {printable(named.encode())}; {meant}/help lists all commands; to send the line begin it with //"


def printable(content: bytes) -> str:
    """Text as the other app meant it, without control characters that could drive the terminal."""
    text = content.decode(errors="replace")
    return "".join(character if character.isprintable() else "�" for character in text)
