"""First offers that wait for an answer: how many an app has made, and apart from them how many were made to one."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId
from hermes_core.relay.cure_line import Requester
from hermes_core.relay.shares import Path, Shares

RETRY_LATER_MS: Final = 1000
"""A place is free with the next answer, at the latest when its offer has waited for `handshake_timeout_s`."""


class WaitingOffers:
    """The owner of both counts; `limit` bounds each of them for each app.

    What another node says an app has begun is counted for that node's word, and never for an app of ours. Who has been offered
    chats holds nothing for it: places with it are shared alike between nodes and the apps at home here, within a node between
    the apps that it names.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._made: dict[Requester, int] = {}
        self._to: dict[AppId, Shares[ChatId]] = {}

    def __len__(self) -> int:
        return sum(self._made.values())

    def __bool__(self) -> bool:
        return bool(self._made)

    def has_of(self, app_id: AppId, maker: Requester | None = None) -> bool:
        """Whether one waits that the app has made, as `maker` if that is not at home here, or that was made to it."""
        return (maker or (None, app_id)) in self._made or app_id in self._to

    def check(self, maker: Requester, target: AppId) -> None:
        """LIMIT_EXCEEDED, with a wait, when `maker` has as many as it may have, or as many with `target` as anybody."""
        if self._made.get(maker, 0) >= self._limit:
            raise _refuse("too many offers of the app wait for an answer")
        held = self._to.get(target)
        if held is not None and len(held) >= self._limit and held.find_to_give_way(_share_of(maker)) is None:
            raise _refuse("too many offers to the app wait for an answer")

    def find_to_give_way(self, maker: Requester, target: AppId) -> ChatId | None:
        """The chat whose offer has to go, so that one more of `maker` may wait."""
        held = self._to.get(target)
        return held.find_to_give_way(_share_of(maker)) if held is not None and len(held) >= self._limit else None

    def add(self, maker: Requester, target: AppId, chat_id: ChatId) -> None:
        self._made[maker] = self._made.get(maker, 0) + 1
        self._to.setdefault(target, Shares()).add(chat_id, _share_of(maker))

    def remove(self, maker: Requester, target: AppId, chat_id: ChatId) -> None:
        """It was answered, or came to nothing."""
        self._made[maker] -= 1
        if not self._made[maker]:
            del self._made[maker]
        held = self._to[target]
        held.remove(chat_id)
        if not held:
            del self._to[target]


def _refuse(detail: str) -> ProtocolError:
    return ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_LATER_MS)


def _share_of(maker: Requester) -> Path:
    node_id, app_id = maker
    return (f"app {app_id}",) if node_id is None else (f"node {node_id}", app_id)
