"""The way from a chat to the tally, and the switch that breaks it on purpose (DEMO_BREAK=drop-message)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from hermes_client.chat import Chat
from hermes_core.errors import HermesError

BREAK_VARIABLE = "DEMO_BREAK"
DROP_MESSAGE = "drop-message"
DROPPED_SEQ = 37

Delivery = Callable[[Chat], AsyncIterator[bytes]]


async def deliver(chat: Chat) -> AsyncIterator[bytes]:
    """Every message, as the chat hands it out."""
    async for message in chat:
        yield message.content


class DropOneMessage:
    """Takes one message off the first chat it serves, which acknowledges it to the sender, and does not pass it on.

    What a transport that acknowledges too early would do; a scenario that does not notice proves nothing.
    """

    def __init__(self, seq: int = DROPPED_SEQ) -> None:
        self._seq: int | None = seq

    async def __call__(self, chat: Chat) -> AsyncIterator[bytes]:
        async for message in chat:
            if message.seq == self._seq:
                self._seq = None
                continue
            yield message.content


def choose_delivery(environment: Mapping[str, str]) -> Delivery:
    """What DEMO_BREAK asks for; HermesError names the allowed values."""
    wanted = environment.get(BREAK_VARIABLE, "")
    if wanted == DROP_MESSAGE:
        return DropOneMessage()
    if wanted:
        raise HermesError(f"{BREAK_VARIABLE}={wanted!r} is unknown; use {DROP_MESSAGE!r} or leave it unset")
    return deliver
