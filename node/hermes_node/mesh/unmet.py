"""Members that are known by hearsay alone: whoever made them up would choose how often, and where, this node dials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.machine import Member
from hermes_core.token_bucket import TokenBucket

DIALS_AT_ONCE: Final = 32
RETRIES_A_SECOND: Final = 2.0
MAX_RETRIES: Final = 8
LOST_AT_ONCE: Final = 2
"""Of those that seem dead, in a round of joins; others each time."""
WAIT_S: Final = 0.5
"""Until one for whom there was no room is looked at again."""


class UnmetMembers:
    """Who proved itself to this run of the node is none. The others are dialled once each, and again by a common budget."""

    def __init__(self, now: float) -> None:
        self._met: set[NodeId] = set()
        self._tried: set[NodeId] = set()
        self._under_way: set[NodeId] = set()
        self._retries = TokenBucket(MAX_RETRIES, 1 / RETRIES_A_SECOND, now)
        self._turn = 0

    def meet(self, node_id: NodeId) -> None:
        self._met.add(node_id)

    def forget(self, node_id: NodeId) -> None:
        """No member any more."""
        self._met.discard(node_id)
        self._tried.discard(node_id)

    def begin_dial(self, node_id: NodeId, now: float) -> bool:
        """Whether it may be dialled now; `end_dial` follows when it was."""
        if node_id in self._met:
            return True
        if len(self._under_way) >= DIALS_AT_ONCE or (node_id in self._tried and not self._take_retry(now)):
            return False
        self._tried.add(node_id)
        self._under_way.add(node_id)
        return True

    def end_dial(self, node_id: NodeId) -> None:
        self._under_way.discard(node_id)

    def choose_lost(self, lost: Sequence[Member]) -> list[Member]:
        """Whom to ask in this round whether they are back: all that were met, and some of the others."""
        strange = [member for member in lost if member.descriptor.node_id not in self._met]
        at = self._turn % max(1, len(strange))
        self._turn = at + LOST_AT_ONCE
        return [
            *(member for member in lost if member.descriptor.node_id in self._met),
            *(strange[at:] + strange[:at])[:LOST_AT_ONCE],
        ]

    def _take_retry(self, now: float) -> bool:
        if self._retries.peek(now):
            return False
        self._retries.take()
        return True
