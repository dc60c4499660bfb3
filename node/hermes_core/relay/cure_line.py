"""Whose turn it is to rekey a quarantined chat: after a rollback all of a node's chats may need it at once.

Turns come at a fixed rate and go round between the apps that wait, so that nobody waits for all chats of another one. Each
chat has one place, however often it asks; its turn is used up when its offer turned out to be authentic, and not before.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.token_bucket import TokenBucket

CURE_BURST: Final = 100
CURE_REFILL_S: Final = 0.005
"""Rekeys of quarantined chats that a node takes on, for all apps together: other chats get their turn between them."""
TURN_KEPT_S: Final = 120.0
"""A turn that was not used by then is over: twice as long as an app may pause between two offers."""
MAX_TURNS_KEPT: Final = 1000
"""Turns of one app that it has not used: so many cures it may ask for at once, and no more before it did."""

Requester = tuple[NodeId | None, AppId]
"""Who asks: an app at home here, or the app that another node names, so that no node can use up what another's apps may ask."""


class CureLine:
    """The owner of places and turns. Asking again changes nothing, for nobody."""

    def __init__(self) -> None:  # the bucket is full when somebody asks first
        self._turns: TokenBucket | None = None
        self._lines: OrderedDict[Requester, dict[ChatId, int]] = OrderedDict()
        """Who waits, the app first whose chat is next; each app's chats, numbered in the order in which they asked."""
        self._of: dict[ChatId, Requester] = {}
        """Of each chat that waits, or has its turn, who asked first."""
        self._kept: OrderedDict[ChatId, float] = OrderedDict()
        """Chats whose turn has come, and when; the earliest first."""
        self._kept_by: dict[Requester, int] = {}

    def __len__(self) -> int:
        return len(self._of)

    def check(self, requester: Requester, chat_id: ChatId, now: float) -> None:
        """REKEY_THROTTLED, with the time to wait, unless it is this chat's turn. It has a place from now on."""
        if chat_id in self._kept:
            return
        if chat_id not in self._of:
            self._of[chat_id] = requester
            line = self._lines.setdefault(requester, {})
            line[chat_id] = next(reversed(line.values()), 0) + 1
        wait_ms = self._give_turns(now)
        if chat_id not in self._kept:
            ahead = self._count_ahead(chat_id)
            wait_ms += math.ceil(ahead * CURE_REFILL_S * 1000)
            raise ProtocolError(ErrorCode.REKEY_THROTTLED, "other chats are cured first", retry_after_ms=max(1, wait_ms))

    def leave(self, chat_id: ChatId) -> None:
        """Its turn is used, or it needs none any more. Idempotent."""
        requester = self._of.pop(chat_id, None)
        if requester is None:
            return
        if self._kept.pop(chat_id, None) is not None:
            self._count_kept(requester, -1)
            return
        line = self._lines[requester]
        del line[chat_id]
        if not line:
            del self._lines[requester]

    def _give_turns(self, now: float) -> int:
        """As many as have come by now, to one app after the other. Milliseconds until the next one."""
        if self._turns is None:
            self._turns = TokenBucket(CURE_BURST, CURE_REFILL_S, now)
        while self._kept and next(iter(self._kept.values())) + TURN_KEPT_S <= now:
            self.leave(next(iter(self._kept)))
        passed_over = 0
        while not (wait_ms := self._turns.peek(now)) and passed_over < len(self._lines):
            requester, line = next(iter(self._lines.items()))
            self._lines.move_to_end(requester)
            if self._kept_by.get(requester, 0) >= MAX_TURNS_KEPT:
                passed_over += 1
                continue
            passed_over = 0
            self._turns.take()
            chat_id = next(iter(line))
            del line[chat_id]
            if not line:
                del self._lines[requester]
            self._kept[chat_id] = now
            self._count_kept(requester, 1)
        return wait_ms

    def _count_kept(self, requester: Requester, by: int) -> None:
        count = self._kept_by.get(requester, 0) + by
        if count:
            self._kept_by[requester] = count
        else:
            del self._kept_by[requester]

    def _count_ahead(self, chat_id: ChatId) -> int:
        """At most so many turns come before this chat's, if nobody else begins to wait."""
        own = self._lines[self._of[chat_id]]
        round_ = own[chat_id] - next(iter(own.values())) + 1
        return min(len(self._of) - len(self._kept), round_ * len(self._lines)) - 1
