"""Faults of a transport that are put in on purpose (SOAK_BREAK): a soak that does not find them proves nothing.

What a node does to a sealed frame is mended by the apps' acknowledgements, or refused. Only what is acknowledged too early, or
handed over twice, reaches an app: so that is done here, between the client library and the app.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from hermes_client import Chat, Message

BREAKS = ("drop-message", "double-message", "swap-messages")
BROKEN_SEQ = 7


async def break_delivery(chat: Chat, broken: str) -> AsyncIterator[Message]:
    """The chat's messages; with one of BREAKS the one with BROKEN_SEQ gets lost, comes twice, or after the next one."""
    late: Message | None = None
    async for message in chat:
        if message.seq == BROKEN_SEQ and broken == "drop-message":
            continue
        if message.seq == BROKEN_SEQ and broken == "swap-messages":
            late = message
            continue
        yield message
        if late is not None:
            yield late
            late = None
        if message.seq == BROKEN_SEQ and broken == "double-message":
            yield message
