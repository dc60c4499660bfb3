"""When a chat's home asks its own app to move its side: the other app has been somewhere for long, and no path leads there."""

from __future__ import annotations

from typing import Final

from hermes_core.ids import ChatId

APPEAL_AFTER_S: Final = 60.0
"""Longer than apps wait for a home that is away: who comes up elsewhere has moved its side by then. Twice that at most: all
chats of a home begin to wait at its start, and shall not all be looked at at once."""
APPEAL_MAX_S: Final = 600.0
"""Longest time between two looks: the other app may be away for days."""
ANSWER_S: Final = 6.0
"""What is known of the other app's place by then is what there is to know."""


class Appeal:
    """Owns when that is looked at next. Times are the node's, in seconds."""

    __slots__ = ("_asked", "_first_s", "_wait_s", "at")

    def __init__(self, chat_id: ChatId) -> None:
        """`chat_id`: random, so that it says how long this chat waits."""
        self._first_s = APPEAL_AFTER_S * (1 + int.from_bytes(chat_id[:2], "big") / 2**16)
        self.at: float | None = None
        """None: there is a path, as far as anybody knows."""
        self._wait_s = self._first_s
        self._asked = False

    def note_loss(self, now: float, *, anew: bool) -> None:
        """There is no path. `anew`: there was one until now; else what was waited counts, and what changed is seen soon."""
        if anew or self.at is None or now + self._first_s < self.at:
            self._wait_s = self._first_s
            self.at = now + self._wait_s

    def postpone(self, now: float) -> None:
        """Twice as long after each time."""
        self._asked = False
        self._wait_s = min(2 * self._wait_s, APPEAL_MAX_S)
        self.at = now + self._wait_s

    def wait_for_answer(self, now: float) -> bool:
        """Where the other app is has been asked. Whether that is waited for: once, and what is known then counts."""
        if self._asked:
            return False
        self._asked = True
        self.at = now + ANSWER_S
        return True

    def end(self) -> None:
        self.at = None
