"""Tells of other keys under a node's name: a line a minute for each name, since who is refused tries on as long as it runs."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.ids import NodeId
from hermes_node.logs.event_log import EventLog
from hermes_node.logs.spaced import SpacedLines


class NameConflicts:
    """The metric counts them all, elsewhere."""

    def __init__(self, log: EventLog, now: Callable[[], float]) -> None:
        self._log = log
        self._told: SpacedLines[NodeId] = SpacedLines(now)

    def tell(self, node_id: NodeId) -> None:
        untold = self._told.take(node_id)
        if untold is not None:
            self._log.warning("peer_identity_conflict", peer=node_id, untold=untold)
