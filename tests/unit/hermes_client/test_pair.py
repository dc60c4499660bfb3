"""A pair of apps in a scenario: what one of them is told counts, whichever the scenario waits for."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from hermes_client.chat import Chat
from hermes_client.client import HermesClient
from hermes_client.errors import ChatEndedError
from hermes_client.scenario.delivery import deliver
from hermes_client.scenario.pair import ChatPair, PairEnd
from hermes_client.scenario.tally import Tally
from hermes_core.endpoint.events import ChatEnded
from hermes_core.ids import AppId, ChatId, derive_app_id
from hermes_core.protocol.messages import CloseReason

CHAT_ID = ChatId(bytes(16))
A, B = (derive_app_id(bytes([number]) * 32) for number in (1, 2))


class FullWindow:
    """Of a chat whose messages nobody acknowledges any more."""

    closed = False

    def try_send(self, *_chat_and_content: bytes) -> None:
        return None


def make_pair() -> ChatPair:
    def end(name: str, peer: AppId, there: Tally, back: Tally) -> PairEnd:
        return PairEnd(name, cast("HermesClient", None), Chat(cast("Any", FullWindow()), CHAT_ID, peer), there, back)

    there, back = Tally("r", "a→b"), Tally("r", "b→a")
    return ChatPair(end("a", B, there, back), end("b", A, back, there), deliver)


async def test_that_the_chat_failed_is_noticed_though_only_the_app_nobody_waits_for_was_told() -> None:
    pair = make_pair()
    sending, watching = asyncio.create_task(pair.send(1)), asyncio.create_task(pair.wait_broken())
    await asyncio.sleep(0)
    blocked = pair.ends[1].chat
    blocked.apply(ChatEnded(CHAT_ID, CloseReason.ROUTE_UNAVAILABLE))
    with pytest.raises(ChatEndedError, match="ROUTE_UNAVAILABLE"):
        await asyncio.wait_for(watching, 5)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await pair.close()


@pytest.mark.parametrize("reason", [CloseReason.DELETED, CloseReason.DELETED_BY_PEER])
async def test_an_end_that_an_app_wished_breaks_nothing(reason: CloseReason) -> None:
    pair = make_pair()
    watching = asyncio.create_task(pair.wait_broken())
    for end in pair.ends:
        end.chat.apply(ChatEnded(CHAT_ID, reason))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await pair.close()
