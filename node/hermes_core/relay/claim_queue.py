"""Chats that wait to claim where they stand on a node's new stream: a batch at a time, so that other work gets its turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.ids import ChatId
from hermes_core.relay.neighbour import Link, Neighbour

RESUME_PAUSE_S: Final = 0.001
"""Between two batches of resumes to one node: long enough that other work gets its turn."""


class ClaimQueue:
    """The owner of what waits for each link, in order."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._waiting: dict[Neighbour, dict[ChatId, None]] = {}
        self._due: dict[Neighbour, float] = {}

    def add(self, link: Link, chat_ids: Iterable[ChatId], now: float) -> None:
        """A node is back: these chats claim in turn, the first batch now."""
        self._waiting[link.neighbour] = dict.fromkeys(chat_ids)
        self._due[link.neighbour] = now

    def drop(self, neighbour: Neighbour) -> None:
        """The stream is gone."""
        self._waiting.pop(neighbour, None)
        self._due.pop(neighbour, None)

    def take(self, neighbour: Neighbour, chat_id: ChatId) -> bool:
        """Whether this chat still waits; it does not any more."""
        waiting = self._waiting.get(neighbour, {})
        if chat_id not in waiting:
            return False
        del waiting[chat_id]
        return True

    def take_due(self, now: float) -> list[tuple[Neighbour, ChatId]]:
        """The next batch of every link whose turn it is."""
        taken: list[tuple[Neighbour, ChatId]] = []
        for neighbour in [neighbour for neighbour, due in self._due.items() if due <= now]:
            waiting = self._waiting[neighbour]
            batch = list(waiting)[: self._batch]
            for chat_id in batch:
                del waiting[chat_id]
            taken += [(neighbour, chat_id) for chat_id in batch]
            if waiting:
                self._due[neighbour] = now + RESUME_PAUSE_S
            else:
                self.drop(neighbour)
        return taken

    def next_due(self) -> float | None:
        return min(self._due.values(), default=None)
