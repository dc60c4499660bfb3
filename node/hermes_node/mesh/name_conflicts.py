"""Tells of other keys under a node's name: a line a minute for each name, since who is refused tries on as long as it runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hermes_core.ids import NodeId
from hermes_node.logs.event_log import EventLog

AGAIN_S: Final = 60.0
MAX_TOLD: Final = 1024
"""Names that are remembered."""


class NameConflicts:
    """The metric counts them all, elsewhere."""

    def __init__(self, log: EventLog, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._told: OrderedDict[NodeId, tuple[float, int]] = OrderedDict()
        """The one that was told longest ago first: when, and how many were not since."""

    def tell(self, node_id: NodeId) -> None:
        now = self._now()
        at, untold = self._told.get(node_id, (now - AGAIN_S, 0))
        if now - at < AGAIN_S:
            self._told[node_id] = at, untold + 1
            return
        self._told[node_id] = now, 0
        self._told.move_to_end(node_id)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        self._log.warning("peer_identity_conflict", peer=node_id, untold=untold)
