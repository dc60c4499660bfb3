"""Names that one member brought and nobody else vouched for: held at its cost until a link of this node's own proves them.

A made-up name has a valid signature, of a made-up key. So it is no member, is told to nobody and probed by nobody before a
second member says the same of it, or it answers at the address that it gave.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.budgets import Budgets


@dataclass(frozen=True, slots=True)
class Rumour:
    descriptor: NodeDescriptor
    sender: NodeId
    check_at: float


class Rumours:
    """The owner of unproven names and of what each sender may still bring."""

    __slots__ = ("_checked", "_failed", "_held", "_most", "_recheck_s", "_senders")

    def __init__(self, most: int, failed: int, recheck_s: float) -> None:
        self._most = most
        self._recheck_s = recheck_s
        self._failed = Budgets(failed, recheck_s)
        self._held: dict[NodeId, Rumour] = {}
        self._senders: Counter[NodeId] = Counter()
        self._checked: dict[NodeId, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, node_id: NodeId) -> Rumour | None:
        return self._held.get(node_id)

    def room(self, sender: NodeId, now: float) -> int:
        """How many more names this sender may bring."""
        return self._most - self._senders[sender] if self._failed.allows(sender, now) else 0

    def allows(self, node_id: NodeId, sender: NodeId, now: float) -> bool:
        """A name is checked at most once in a time, whoever brings it."""
        return self.room(sender, now) > 0 and now - self._checked.get(node_id, -self._recheck_s) >= self._recheck_s

    def hold(self, rumour: Rumour) -> None:
        self.drop(rumour.descriptor.node_id)
        self._held[rumour.descriptor.node_id] = rumour
        self._senders[rumour.sender] += 1

    def drop(self, node_id: NodeId) -> Rumour | None:
        rumour = self._held.pop(node_id, None)
        if rumour is not None:
            self._senders[rumour.sender] -= 1
            if not self._senders[rumour.sender]:
                del self._senders[rumour.sender]
        return rumour

    def take_due(self, now: float) -> Rumour | None:
        """The next one to be checked by a link; it stays held, and a failed link says so by `refuse`."""
        for node_id, rumour in self._held.items():
            if rumour.check_at <= now and now - self._checked.get(node_id, -self._recheck_s) >= self._recheck_s:
                self._checked[node_id] = now
                return rumour
        return None

    def refuse(self, node_id: NodeId, now: float) -> None:
        """No link could be made to it: its sender brings less for a while."""
        rumour = self.drop(node_id)
        if rumour is not None:
            self._failed.charge(rumour.sender, now)

    def tidy(self, now: float) -> None:
        self._failed.tidy(now)
        for node_id in [node_id for node_id, at in self._checked.items() if now - at >= self._recheck_s]:
            del self._checked[node_id]
