"""A chat that another app offers, to be taken or refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final

from hermes_client.arguments import take, take_timeout
from hermes_client.chat import Chat
from hermes_core.endpoint.events import ChatOffered
from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChatId
from hermes_core.values import dataclass

CHAT_TIMEOUT_S: Final = 30.0
"""Until the other app has taken a chat, or confirmed one."""

Take = Callable[[ChatOffered, float | None], Awaitable[Chat]]
Refuse = Callable[[ChatId, ErrorCode], None]


@dataclass(frozen=True, slots=True)
class ChatOffer:
    """Another app wants to chat. It waits as long as the other app does; then accepting it is CHAT_NOT_FOUND."""

    app_id: AppId
    _event: ChatOffered
    _take: Take = field(repr=False)
    _refuse: Refuse = field(repr=False)

    async def accept(self, timeout_s: float | None = CHAT_TIMEOUT_S) -> Chat:
        """Answer, and wait until the other app has confirmed.

        ProtocolError or ChatEndedError when it comes to nothing: CHAT_NOT_FOUND for an offer that is over, CHAT_NOT_READY
        for one that was decided already, TARGET_OFFLINE when no confirmation came in time. Then, and when this is
        cancelled, the chat is deleted.
        """
        return await self._take(self._event, take_timeout(timeout_s))

    def reject(self, code: ErrorCode = ErrorCode.TARGET_NOT_FOUND) -> None:
        """Refuse it; the other app is told `code`, unless set otherwise what it would be told of an app that nobody knows.

        An app that is told TARGET_OFFLINE, ROUTE_UNAVAILABLE or HANDSHAKE_THROTTLED tries again. ProtocolError as of `accept`.
        """
        self._refuse(self._event.chat_id, take(ErrorCode, code, "code"))
