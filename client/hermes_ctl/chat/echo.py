"""The echo: every call is taken, and everything sent back, each chat beside the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hermes_client import Chat, ChatEndedError, ChatOffer, HermesClient, StateLostError
from hermes_core.errors import ProtocolError


class Echo:
    """`show` gets one line for each call, and for each chat that does not end in order."""

    def __init__(self, client: HermesClient, show: Callable[[str], None]) -> None:
        self._client = client
        self._show = show

    async def run(self) -> None:
        """Until the client is closed; ClientClosedError, and errors of its store, end every chat and are raised."""
        try:
            async with asyncio.TaskGroup() as chats:
                for chat in self._client.chats.values():
                    chats.create_task(self._echo(chat))
                async for offer in self._client.offers():
                    chats.create_task(self._take(offer))  # whoever calls and does not go on keeps nobody else waiting
        except BaseExceptionGroup as failures:  # each chat says the same of its client
            raise failures.exceptions[0] from None

    async def _take(self, offer: ChatOffer) -> None:
        who = offer.app_id[:8]
        try:
            chat = await offer.accept()
        except (ProtocolError, ChatEndedError, StateLostError) as error:
            self._show(f"* a call of {who} came to nothing: {error}")
            return
        self._show(f"* {who} called")
        await self._echo(chat)

    async def _echo(self, chat: Chat) -> None:
        """Until either app ends it. A store that is an older copy is told once, and the chat goes on."""
        while True:
            try:
                async for message in chat:
                    await self._send(chat, message.content)
            except StateLostError as lost:
                self._show(f"* {lost}")
            except (ChatEndedError, ProtocolError) as error:
                self._show(f"* the chat with {chat.peer[:8]} is over: {error}")
                return
            else:
                return

    async def _send(self, chat: Chat, content: bytes) -> None:
        """Also when it turns out just now that a store is an older copy: what is not answered here never is."""
        while True:
            try:
                await chat.send(content)
            except StateLostError as lost:
                self._show(f"* {lost}")
            else:
                return
