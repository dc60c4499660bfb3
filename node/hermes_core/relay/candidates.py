"""The hops of one chat that are being made, and what would have confirmed those that nobody waits for any more."""

from __future__ import annotations

from collections import deque
from typing import Final

from hermes_core.crypto.hashing import equal_tags
from hermes_core.protocol import messages as m
from hermes_core.relay.candidate import Candidate
from hermes_core.relay.neighbour import Link

MAX_LATE: Final = 4
"""Hops of a chat that came to nothing whose confirmation is still known when it comes."""


class Candidates:
    """The owner of at most one candidate a hop."""

    __slots__ = ("_late", "_under_way")

    def __init__(self) -> None:
        self._under_way: dict[int, Candidate] = {}
        self._late: deque[bytes] = deque(maxlen=MAX_LATE)

    def __getitem__(self, index: int) -> Candidate | None:
        return self._under_way.get(index)

    def begin(self, candidate: Candidate) -> None:
        """One that is under way for this hop comes to nothing."""
        self.drop(candidate.index)
        self._under_way[candidate.index] = candidate

    def take(self, candidate: Candidate) -> None:
        """It is made: its channel is its taker's."""
        del self._under_way[candidate.index]

    def drop(self, index: int) -> None:
        """It comes to nothing. Its neighbour may not know, and confirm it all the same."""
        dropped = self._under_way.pop(index, None)
        if dropped is None:
            return
        tag = dropped.channel.awaited_confirm()
        if tag is not None:
            self._late.append(tag)
        dropped.channel.wipe()

    def find(self, link: Link, message: m.ChatMessage) -> Candidate | None:
        """The one over this stream that such a message is an answer for, authentic or not."""
        return next((ours for ours in self._under_way.values() if ours.link is link and _answers(ours, message)), None)

    def is_late(self, message: m.ChatMessage) -> bool:
        """Whether it confirms a hop that came to nothing: true, and too late."""
        return isinstance(message, m.Confirm) and any(equal_tags(message.hop_confirm, tag) for tag in self._late)

    def ends_at(self, timeout_s: float) -> float | None:
        """When the oldest is not waited for any longer."""
        began = [candidate.since for candidate in self._under_way.values()]
        return min(began) + timeout_s if began else None

    def give_up(self, now: float, timeout_s: float) -> None:
        """Hops that were not made in time come to nothing."""
        for candidate in list(self._under_way.values()):
            if candidate.since + timeout_s <= now:
                self.drop(candidate.index)

    def wipe(self) -> None:
        for index in list(self._under_way):
            self.drop(index)


def _answers(ours: Candidate, message: m.ChatMessage) -> bool:
    match message:
        case m.MoveAnswer():
            return ours.offered and message.number == ours.move.number
        case m.Confirm():
            return not ours.offered and not message.end_to_end_epoch
        case m.ErrorNotice() | m.Closed():
            return ours.offered
        case _:
            return False
