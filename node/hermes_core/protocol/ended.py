"""The ids of chats that ended lately: a first offer that is sent again is not taken for a new chat."""

from __future__ import annotations

from hermes_core.ids import ChatId
from hermes_core.ratchet.replay import REMEMBERED_END_S


class EndedChats:
    """Each is remembered for as long as its first offer could be taken for a fresh one; of more than `limit` the latest."""

    __slots__ = ("_ended", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ended: dict[ChatId, float] = {}

    def __contains__(self, chat_id: ChatId) -> bool:
        return chat_id in self._ended

    def __len__(self) -> int:
        return len(self._ended)

    def find(self, chat_id: ChatId) -> float | None:
        """When it ended."""
        return self._ended.get(chat_id)

    def add(self, chat_id: ChatId, now: float) -> None:
        self._ended.pop(chat_id, None)  # so that they stay in the order of time
        self._ended[chat_id] = now
        while len(self._ended) > self._limit or next(iter(self._ended.values())) <= now - REMEMBERED_END_S:
            del self._ended[next(iter(self._ended))]
