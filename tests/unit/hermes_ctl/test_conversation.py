"""A terminal that leaves: what becomes of messages that the other app has not taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hermes_client import HermesClient
from hermes_core.endpoint.events import MessagesAcked
from hermes_ctl.chat import conversation
from hermes_ctl.chat.chat_log import ChatLog
from hermes_ctl.chat.conversation import Conversation
from tests.unit.hermes_client.test_chat import CHAT, make_chat


async def no_lines() -> AsyncIterator[str]:
    for line in list[str]():
        yield line


@pytest.mark.parametrize("kept", [True, False])
async def test_who_leaves_with_messages_not_taken_is_told_what_becomes_of_them(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "DRAIN_S", 0.01)
    chat, _ = make_chat()
    chat.last_sent = 1
    shown: asyncio.Queue[str] = asyncio.Queue()
    talk = Conversation(HermesClient("127.0.0.1:1"), chat, ChatLog(None), shown.put_nowait, kept=kept)
    leaving = asyncio.create_task(talk._send_lines(no_lines()))
    async with asyncio.timeout(5):
        told = await shown.get()
        if kept:
            assert "the next start sees to it" in told
        else:
            assert "Ctrl-C leaves at once" in told
            assert not leaving.done()
            chat.apply(MessagesAcked(CHAT, 1))
        await leaving
