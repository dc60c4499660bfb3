"""Links to other members: dialled when something is to be said, kept while they are used, at most so many."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.mesh.swim.output import Outlet
from hermes_core.mesh.swim.params import SwimParams


class MemberLinks:
    """The owner of links that stand, of dials under way with what waits for them, and of one backoff for each address."""

    __slots__ = ("_backoffs", "_dialling", "_outlet", "_params", "_short", "_up")

    def __init__(self, params: SwimParams, outlet: Outlet) -> None:
        self._params = params
        self._outlet = outlet
        self._up: dict[NodeId, None] = {}  # the least recently used one first
        self._dialling: dict[NodeId, tuple[str, list[SwimMessage]]] = {}
        self._backoffs: dict[str, tuple[float, float]] = {}
        self._short: dict[str, tuple[float, float]] = {}
        """When and for how long an address whose link ended as soon as it stood was left alone."""

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._up

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._up)

    def __len__(self) -> int:
        return len(self._up)

    def can_dial(self, address: str, now: float) -> bool:
        return now >= self._backoffs.get(address, (now, 0.0))[0]

    def forgive(self, address: str) -> None:
        """Somebody answered there."""
        self._backoffs.pop(address, None)

    def dial(self, descriptor: NodeDescriptor) -> None:
        """To learn who answers there."""
        if descriptor.node_id not in self._up and descriptor.node_id not in self._dialling:
            self._dialling[descriptor.node_id] = (descriptor.address, [])
            self._outlet.dial(descriptor)

    def send(self, descriptor: NodeDescriptor, message: SwimMessage) -> None:
        """Over its link, or over the one that is dialled for it now."""
        node_id = descriptor.node_id
        if node_id in self._up:
            self.touch(node_id)
            self._outlet.send(node_id, message)
            return
        self.dial(descriptor)
        waiting = self._dialling[node_id][1]
        if len(waiting) < self._params.max_waiting:
            waiting.append(message)

    def touch(self, node_id: NodeId) -> None:
        """It was used just now."""
        if node_id in self._up:
            del self._up[node_id]
            self._up[node_id] = None

    def stand(self, node_id: NodeId, keep: frozenset[NodeId]) -> None:
        """A link stands; what waited leaves. Beyond the bound the one goes that was not used for longest, of `keep` none."""
        self._up.pop(node_id, None)
        self._up[node_id] = None
        address, waiting = self._dialling.pop(node_id, ("", []))
        self._backoffs.pop(address, None)
        for message in waiting:
            self._outlet.send(node_id, message)
        while len(self._up) > self._params.max_links:
            oldest = next((name for name in self._up if name not in keep), next(iter(self._up)))
            self.hang_up(oldest)

    def end(self, node_id: NodeId) -> None:
        self._up.pop(node_id, None)

    def hang_up(self, node_id: NodeId) -> None:
        self.end(node_id)
        self._outlet.hang_up(node_id)

    def fail(self, node_id: NodeId, now: float) -> None:
        """Nobody answered there, or somebody else: what waited goes nowhere."""
        address, _ = self._dialling.pop(node_id, ("", []))
        delay = self._next_delay(self._backoffs.get(address, (0.0, 0.0))[1])
        self._backoffs[address] = (now + delay, delay)

    def cut_short(self, address: str, now: float) -> None:
        """A link ended as soon as it stood: whoever is there wants none, which it can say only once it is dialled."""
        delay = self._next_delay(self._short.get(address, (0.0, 0.0))[1])
        self._short[address] = (now, delay)
        self._backoffs[address] = (now + delay, delay)

    def _next_delay(self, former: float) -> float:
        least = self._params.backoff_periods * self._params.period_s
        most = self._params.max_backoff_periods * self._params.period_s
        return min(most, max(least, 2 * former))

    def tidy(self, now: float) -> None:
        """A backoff that is long over is forgotten."""
        for address in [address for address, (until, delay) in self._backoffs.items() if now >= until + delay]:
            del self._backoffs[address]
        for address in [address for address, (at, delay) in self._short.items() if now >= at + 3 * delay]:
            del self._short[address]
