"""A small chat app on the client library: one conversation at a time, lines in, lines out. `hermesctl chat` is its terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from hermes_client.chat import Chat
from hermes_client.client import HermesClient
from hermes_client.errors import ChatEndedError
from hermes_core.errors import HermesError
from hermes_core.ids import AppId
from hermes_core.ratchet.padding import MAX_CONTENT_BYTES

HELP: Final = (
    "/rekey  new keys    /status  epoch and path    /delete  end the chat, wipe its keys    /quit  leave    /help  this"
)

Show = Callable[[str], None]


class MockApp:
    """Talks to the first app that comes, or to the one it is told to call; `show` gets one line for everything that happens."""

    def __init__(self, client: HermesClient, show: Show) -> None:
        self._client = client
        self._show = show
        self._chat: Chat | None = None

    async def call(self, app_id: AppId) -> None:
        """Start the conversation."""
        self._chat = await self._client.start_chat(app_id)

    async def answer(self) -> None:
        """Wait for another app to start it."""
        async for offer in self._client.offers():
            self._chat = await offer.accept()
            return

    async def converse(self, lines: AsyncIterator[str]) -> None:
        """Send `lines` and show what arrives, until either app ends the chat or the lines end."""
        chat = self._require_chat()
        self._show(f"* chatting with {chat.peer[:8]}…, epoch {chat.epoch}; /help lists commands")
        work = [
            asyncio.create_task(self._receive(chat)),
            asyncio.create_task(self._send_lines(chat, lines)),
        ]
        watching = asyncio.create_task(self._watch(chat))
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*work, watching):
                task.cancel()
            await asyncio.gather(*work, watching, return_exceptions=True)

    async def echo(self) -> None:
        """Send everything back that arrives, from whoever calls, until the client is closed; other calls wait their turn."""
        async for offer in self._client.offers():
            chat = await offer.accept()
            self._show(f"* {offer.app_id[:8]}… called")
            try:
                async for message in chat:
                    await chat.send(message.content)
            except ChatEndedError as error:
                self._show(f"* {error}")

    async def _receive(self, chat: Chat) -> None:
        try:
            async for message in chat:
                self._show(f"{chat.peer[:8]}> {_printable(message.content)}")
        except ChatEndedError as error:
            self._show(f"* {error}")
            return
        self._show(f"* the chat is over ({chat.ended.name if chat.ended else 'closed'}), its keys are wiped")

    async def _send_lines(self, chat: Chat, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            text = line.strip()
            if text.startswith("/"):
                if await self._obey(chat, text):
                    return
            elif text:
                await self._send(chat, text)
        await chat.drain()

    async def _send(self, chat: Chat, text: str) -> None:
        content = text.encode()
        if len(content) > MAX_CONTENT_BYTES:
            self._show(f"* too long: a message has at most {MAX_CONTENT_BYTES // 1024} KiB")
            return
        await chat.send(content)

    async def _obey(self, chat: Chat, command: str) -> bool:
        """Run a command; True ends the conversation."""
        match command:
            case "/quit":
                return True
            case "/delete":
                await chat.delete()
                return True
            case "/rekey":
                await self._rekey(chat)
            case "/status":
                path = "up" if chat.up else "down"
                self._show(f"* epoch {chat.epoch}, path {path}, {chat.unacknowledged} unacknowledged, {chat.resumes} resumes")
            case _:
                self._show(f"* {HELP}")
        return False

    async def _rekey(self, chat: Chat) -> None:
        try:
            await chat.rekey()
        except HermesError as error:
            self._show(f"* no new keys: {error}")

    async def _watch(self, chat: Chat) -> None:
        """Show changes of path and epoch."""
        up, epoch = chat.up, chat.epoch
        while True:
            await chat.wait(lambda: (chat.up, chat.epoch) != (up, epoch))  # noqa: B023 - awaited at once
            if chat.ended is not None:
                return
            if chat.epoch != epoch:
                self._show(f"* new keys: epoch {chat.epoch}")
            if chat.up != up:
                self._show("* the path is back" if chat.up else "* the path is down; what you write is sent when it is back")
            up, epoch = chat.up, chat.epoch

    def _require_chat(self) -> Chat:
        if self._chat is None:
            raise HermesError("there is no chat yet: call() or answer() first")
        return self._chat


def _printable(content: bytes) -> str:
    """Text as the other app meant it, without control characters that could drive the terminal."""
    text = content.decode(errors="replace")
    return "".join(character if character.isprintable() else "�" for character in text)
