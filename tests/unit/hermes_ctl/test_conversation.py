"""What a terminal says: of messages that the other app has not taken when it leaves, and of commands that are none."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator

import pytest

from hermes_client import HermesClient
from hermes_core.endpoint.events import MessagesAcked
from hermes_ctl.chat import conversation
from hermes_ctl.chat.chat_log import ChatLog
from hermes_ctl.chat.conversation import Conversation
from tests.unit.hermes_client.test_chat import CHAT, make_chat


async def lines_of(*lines: str) -> AsyncIterator[str]:
    for line in lines:
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
    leaving = asyncio.create_task(talk._send_lines(lines_of()))
    async with asyncio.timeout(5):
        told = await shown.get()
        if kept:
            assert "the next start sees to it" in told
        else:
            assert "Ctrl-C leaves at once" in told
            assert not leaving.done()
            chat.apply(MessagesAcked(CHAT, 1))
        await leaving


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/quti", "/quti; did you mean /quit? "),
        ("/NAMES", "/NAMES; did you mean /names? "),
        ("/usr/bin/env sh", "/usr/bin/env; "),
        ("/\x1b[31m", "/�[31m; "),
        ("/", "/; "),
        ("/" + "x" * 60_000, "/" + "x" * (conversation.NAME_CHARS - 1) + "…; "),
    ],
)
async def test_an_unknown_command_is_named_with_the_closest_one_and_the_way_to_help(typed: str, meant: str) -> None:
    chat, _ = make_chat()
    shown: list[str] = []
    talk = Conversation(HermesClient("127.0.0.1:1"), chat, ChatLog(None), shown.append, kept=True)
    await talk._send_lines(lines_of(typed))
    assert shown == [f"* unknown command {meant}/help lists all commands; to send the line begin it with //"]
    assert not chat.last_sent


async def test_help_names_every_command() -> None:
    """Those alone are suggested; each is one, since what is unknown is told as such."""
    chat, _ = make_chat()
    shown: list[str] = []
    talk = Conversation(HermesClient("127.0.0.1:1"), chat, ChatLog(None), shown.append, kept=True)
    await talk._send_lines(lines_of("/help"))
    assert shown == [conversation.HELP]
    source = inspect.getsource(Conversation._obey)
    assert set(conversation.COMMANDS) == set(re.findall(r'case "(/[a-z]+)"', source))


@pytest.mark.parametrize(
    ("typed", "sent"), [("//text /x", b"/text /x"), ("  ///", b"//"), ("//quit", b"/quit"), ("a//b", b"a//b")]
)
async def test_a_line_that_begins_with_two_slashes_is_sent_with_one(typed: str, sent: bytes) -> None:
    chat, _ = make_chat()
    chat.acknowledged = 1  # nothing to wait for at the end
    log = ChatLog(None)
    await Conversation(HermesClient("127.0.0.1:1"), chat, log, list[str]().append, kept=True)._send_lines(lines_of(typed))
    assert [line.content for line in log.lines(chat.chat_id)] == [sent]
