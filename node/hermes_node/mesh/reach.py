"""Which members answer others and not this node: a broken pair, which nobody's standing shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.swim.output import ProbeEnded, ProbeResult
from hermes_node.logs.event_log import EventLog

MISSES: Final = 2
"""In a row; one may be an answer that came late."""
STALE_S: Final = 300.0
"""Who is in no ring of this node, and whom no chat needs any more, is not tried: what was found says nothing after that."""


class Reach:
    """The owner of it. Probes and dials for chats tell; who is dead or gone for everybody is forgotten."""

    def __init__(self, now: Callable[[], float], log: EventLog) -> None:
        self._now = now
        self._log = log
        self._misses: dict[NodeId, tuple[int, float]] = {}

    def take_probe(self, probe: ProbeEnded) -> None:
        if probe.result is ProbeResult.INDIRECT:
            self.miss(probe.node_id, "it answers others, and not this node")
        elif probe.result is ProbeResult.DIRECT:
            self.reach(probe.node_id)

    def miss(self, node_id: NodeId, reason: str) -> None:
        count, _ = self._misses.get(node_id, (0, 0.0))
        self._misses[node_id] = (count + 1, self._now())
        if count + 1 == MISSES:
            self._log.warning("peer_unreached", peer=node_id, reason=reason)

    def reach(self, node_id: NodeId) -> None:
        count, _ = self._misses.pop(node_id, (0, 0.0))
        if count >= MISSES:
            self._log.info("peer_reached", peer=node_id)

    def forget(self, node_id: NodeId) -> None:
        self._misses.pop(node_id, None)

    def list_unreached(self) -> frozenset[NodeId]:
        since = self._now() - STALE_S
        for node_id in [node_id for node_id, (_, at) in self._misses.items() if at < since]:
            del self._misses[node_id]
        return frozenset(node_id for node_id, (count, _) in self._misses.items() if count >= MISSES)
