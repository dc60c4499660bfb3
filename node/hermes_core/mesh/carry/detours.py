"""A home that does not reach another node: when it goes through a third one, through which, and when it comes back.

Inputs are what became of dials and probes, of this node's own; no node's word of another counts. A third node is one through
which the other answered a probe, with a signature over a fresh number, just now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.ids import NodeId

PATIENCE_S: Final = 2.0
"""For so long a direct stream is tried alone: one that is slow, or a node that starts, needs no third one."""
FRESH_S: Final = 10.0
"""An answer that came through a third node says for so long that it reaches the other."""
ASK_EVERY_S: Final = 4.0
"""The other node is probed this often, while it is not reached, and while it is reached through a third one."""
ANSWER_S: Final = 3.0
"""A probe that did not end by then says nothing any more: the machine's periods are long, or it has no time for it."""
LASTING_S: Final = 60.0
"""A stream through a third node that lasted so long was of use: its end is not that node's fault."""
SHORTEST_S: Final = 1.0
MAX_HELPERS: Final = 8


@dataclass(frozen=True, slots=True)
class DetourParams(Limited):
    direct_again_s: limits.DirectAgainS = default(limits.DirectAgainS)


@dataclass(slots=True)
class _Helper:
    """A third node: when the other one answered through it last, and until when it is left alone."""

    answered_at: float
    avoid_until: float = float("-inf")
    failures: int = 0


@dataclass(slots=True)
class _Way:
    """To one other node. `tried_since`: since when a direct stream is wanted and did not come about."""

    tried_since: float
    failed: bool = False
    asked_at: float = float("-inf")
    asking: bool = False
    helpers: dict[NodeId, _Helper] = field(default_factory=dict)
    third: NodeId | None = None
    third_since: float = 0.0
    direct_since: float | None = None
    direct_at: float = 0.0


class Detours:
    """The owner of what is known of the ways to nodes that are not reached, or through a third one alone."""

    def __init__(self, params: DetourParams) -> None:
        self._params = params
        self._ways: dict[NodeId, _Way] = {}

    def __len__(self) -> int:
        return len(self._ways)

    # what became of dials and streams

    def trying(self, node_id: NodeId, now: float) -> None:
        """A direct stream is dialled."""
        self._ways.setdefault(node_id, _Way(now))

    def failed(self, node_id: NodeId) -> None:
        """A direct stream could not be dialled."""
        way = self._ways.get(node_id)
        if way is not None:
            way.failed = True
            way.direct_since = None

    def direct(self, node_id: NodeId) -> bool:
        """A direct stream stands; whether it is the way back from a third node."""
        way = self._ways.pop(node_id, None)
        return way is not None and way.third is not None

    def forget(self, node_id: NodeId) -> None:
        """It is dead."""
        self._ways.pop(node_id, None)

    def keep(self, nodes: Iterable[NodeId]) -> None:
        """Nothing needs any others."""
        kept = set(nodes)
        for node_id in [node_id for node_id in self._ways if node_id not in kept]:
            del self._ways[node_id]

    def carried(self, node_id: NodeId, third: NodeId, now: float) -> None:
        """A stream through this third node stands, whoever dialled it."""
        way = self._ways.setdefault(node_id, _Way(now))
        way.third, way.third_since = third, now
        way.direct_since = None

    def carried_ended(self, node_id: NodeId, third: NodeId, now: float) -> None:
        """It is over, or did not come about: others first, and this one after a while that grows."""
        way = self._ways.get(node_id)
        if way is None:
            return
        stood_s = now - way.third_since if way.third == third else 0.0
        if way.third == third:
            way.third = None
        helper = way.helpers.setdefault(third, _Helper(float("-inf")))
        if not stood_s and helper.avoid_until > now:
            return  # told once more
        if stood_s >= LASTING_S:
            helper.failures = 0
        helper.avoid_until = now + min(LASTING_S, SHORTEST_S * 2.0**helper.failures)
        helper.failures = min(helper.failures + 1, 8)

    # what became of probes

    def asked(self, node_id: NodeId, now: float) -> None:
        """A probe of it was begun because `must_ask` said so."""
        way = self._ways.get(node_id)
        if way is not None:
            way.asked_at, way.asking = now, True

    def answered(self, node_id: NodeId, now: float, helper: NodeId | None = None) -> bool:
        """It answered a probe, directly or through this helper; whether that matters here."""
        way = self._ways.get(node_id)
        if way is None:
            return False
        way.asking = False
        if helper is None:
            way.direct_since = now if way.direct_since is None else way.direct_since
            way.direct_at = now
            return True
        way.direct_since = None
        known = way.helpers.pop(helper, None) or _Helper(now)
        known.answered_at = now
        way.helpers[helper] = known
        while len(way.helpers) > MAX_HELPERS:
            del way.helpers[next(iter(way.helpers))]
        return True

    def silent(self, node_id: NodeId) -> bool:
        """It answered neither directly nor through anybody; whether that matters here."""
        way = self._ways.get(node_id)
        if way is None:
            return False
        way.asking = False
        way.direct_since = None
        return True

    # what follows

    def must_ask(self, node_id: NodeId, now: float) -> bool:
        """Whether it is to be probed now."""
        way = self._ways.get(node_id)
        if way is None or now - way.asked_at < ASK_EVERY_S:
            return False
        return way.failed or now - way.tried_since >= PATIENCE_S / 2

    def choose(self, node_id: NodeId, now: float) -> NodeId | None:
        """The third node to go through now: of those that reached it just now, and are not left alone, the latest."""
        way = self._ways.get(node_id)
        if way is None or way.third is not None or now - way.tried_since < PATIENCE_S:
            return None
        fit = [name for name, helper in way.helpers.items() if helper.avoid_until <= now]
        fresh = [name for name in fit if now - way.helpers[name].answered_at <= FRESH_S]
        return fresh[-1] if fresh else None

    def may_come(self, node_id: NodeId, now: float) -> bool:
        """Whether a way through a third node may be found within a moment, so that what waits should wait on."""
        way = self._ways.get(node_id)
        if way is None:
            return False
        fresh = any(
            helper.avoid_until <= max(now, way.tried_since + PATIENCE_S) and now - helper.answered_at <= FRESH_S
            for helper in way.helpers.values()
        )
        return fresh or (way.asking and now - way.asked_at < ANSWER_S)

    def is_direct_again(self, node_id: NodeId, now: float) -> bool:
        """It is reached through a third node, and has answered directly for long enough, lately as well."""
        way = self._ways.get(node_id)
        if way is None or way.third is None or way.direct_since is None:
            return False
        return now - way.direct_since >= self._params.direct_again_s and now - way.direct_at <= FRESH_S
