"""RouteChat streams that are dialled when a chat needs one: one for each pair of nodes, closed when it is idle.

Where two nodes do not reach each other it goes through a third one, until they do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hermes_core.crypto.random import RandomSource
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.detours import Detours
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.output import ProbeEnded, ProbeResult
from hermes_core.protocol.session import Heartbeat
from hermes_core.relay.route_waits import PATIENCE_S
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.backoff import BACKOFF_CAP_S, Dials, DialState
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.handshake import ProvedPeer
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer
from hermes_node.mesh.links import PeerInbox, RouteLink
from hermes_node.mesh.streams import RouteStream
from hermes_node.mesh.swim_links import CROSSED_S

LOOK_EVERY_S: Final = 1.0
HEAD_START_S: Final = 1.0
"""Both ends of a chat need the stream: the node with the lower id dials at once, the other one when nothing came of that."""


class Travellers(Protocol):
    """What the chats of a node need of streams, and are told of them."""

    @property
    def streams(self) -> PeerInbox: ...
    def list_needed_nodes(self) -> Collection[NodeId]: ...
    def unreachable(self, node_id: NodeId) -> None: ...


@dataclass(slots=True)
class _Standing:
    """`third`: the node that it goes through."""

    link: RouteLink
    dialler: NodeId
    third: NodeId | None
    since: float
    used_at: float

    def prevails(self, dialler: NodeId, third: NodeId | None) -> bool:
        """Of two that were dialled at once, at both ends: a direct one, then the one that the lower id dialled."""
        if (self.third is None) != (third is None):
            return self.third is None
        return self.dialler < dialler


class Routes:
    """The owner of this node's RouteChat streams."""

    def __init__(
        self,
        own: NodeId,
        chats: Travellers,
        find: Callable[[NodeId], NodeDescriptor | None],
        tasks: DialTasks,
        detours: Detours,
        look_at: Callable[[NodeId], None],
        *,
        idle_s: float,
        now: Callable[[], float],
        log: EventLog,
        entropy: RandomSource,
    ) -> None:
        """`find`: where a node is reached, if it is a member that is up. `tasks` call back whenever one ends.

        `look_at` has a node probed; what becomes of it comes to `note_probe`.
        """
        self._own = own
        self._chats = chats
        self._find = find
        self._tasks = tasks
        self._detours = detours
        self._look_at_node = look_at
        self._idle_s = idle_s
        self._now = now
        self._log = log
        self._entropy = entropy
        self._standing: dict[NodeId, _Standing] = {}
        self._dials = Dials()
        self._dialling: dict[NodeId, asyncio.Event] = {}
        """Set once the stream stands that came of it, or none did."""
        self._missed: dict[NodeId, float] = {}
        """Since when each node is needed that no stream leads to."""
        self._wanted: dict[NodeId, float] = {}
        """For whom something waits that belongs to no chat yet, and until when it does."""
        self._look_at = now()

    def count_by_third(self) -> int:
        """Streams that go through a third node."""
        return sum(standing.third is not None for standing in self._standing.values())

    async def serve(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool, third: NodeId | None = None) -> None:
        """A stream on which a node proved who it is, until it ends."""
        node_id, now = peer.descriptor.node_id, self._now()
        dialler, former = self._own if dialled else node_id, self._standing.get(node_id)
        if former is not None and now - former.since < CROSSED_S and former.prevails(dialler, third):
            peer.keys.wipe()
            return
        link = RouteLink(peer, stream, self._chats.streams, lambda batch: self._note_use(node_id, batch))
        self._standing[node_id] = standing = _Standing(link, dialler, third, now, now)
        if dialled and third is None and node_id in self._dialling:
            self._dialling[node_id].set()
        self._missed.pop(node_id, None)
        self._wanted.pop(node_id, None)
        self._note_way(node_id, third, now)
        if former is not None:
            former.link.close()
        try:
            await link.run()
        finally:
            if self._standing.get(node_id) is standing:
                del self._standing[node_id]
                self._look_at = self._now()
                if third is not None:
                    self._detours.carried_ended(node_id, third, self._now())

    def _note_way(self, node_id: NodeId, third: NodeId | None, now: float) -> None:
        if third is not None:
            self._detours.carried(node_id, third, now)
            self._log.warning("route_by_third", peer=node_id, third=third)
        elif self._detours.direct(node_id):
            self._log.info("route_direct_again", peer=node_id)

    async def gives_way(self, node_id: NodeId) -> bool:
        """Whether a stream that this node dials right now comes before the one that the other one has dialled.

        Both had something to say at once. What is said on one stream that then ends for the other one is lost, and a first
        offer refused; so the node with the lower id proves nothing on the other's before it knows what comes of its own.
        """
        settled = self._dialling.get(node_id)
        if settled is None or settled.is_set() or self._own > node_id:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                await settled.wait()
        return self._is_direct(node_id)

    def _is_direct(self, node_id: NodeId) -> bool:
        standing = self._standing.get(node_id)
        return standing is not None and standing.third is None

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._standing

    def want(self, node_id: NodeId, dialer: Dialer) -> None:
        """Something is to be said to this node now."""
        descriptor = None if node_id in self._standing else self._find(node_id)
        if descriptor is not None:
            self._wanted[node_id] = self._now() + PATIENCE_S
            self._dial(descriptor, dialer)
        elif node_id not in self._standing:
            self._chats.unreachable(node_id)

    def close(self, node_id: NodeId) -> None:
        """The node is dead or gone."""
        self._detours.forget(node_id)
        standing = self._standing.get(node_id)
        if standing is not None:
            standing.link.close()

    def note_probe(self, ended: ProbeEnded) -> bool:
        """What became of a probe of any member; whether something may follow from it."""
        if ended.result is ProbeResult.FAILED:
            matters = self._detours.silent(ended.node_id)
        else:
            matters = self._detours.answered(ended.node_id, self._now(), ended.helper)
        if matters:
            self._look_at = self._now()
        return matters

    def next_due(self) -> float:
        return self._look_at

    def tick(self, now: float, dialer: Dialer) -> None:
        """Dial what chats need and has no stream, close what none has needed for long."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        self._give_up(now)
        needed = dict.fromkeys((*self._chats.list_needed_nodes(), *self._wanted))
        self._missed = {node_id: self._missed.get(node_id, now) for node_id in needed if node_id not in self._standing}
        self._detours.keep((*self._missed, *self._standing))
        for node_id, since in self._missed.items():
            descriptor = self._find(node_id)
            if descriptor is None:
                continue
            if now >= since + self._find_delay(node_id) and now >= self._dials.of(descriptor).next_at:
                self._dial(descriptor, dialer)
            self._go_through_third(descriptor, now, dialer)
        for node_id, standing in self._standing.items():
            if node_id in needed:
                standing.used_at = now
            elif now - standing.used_at >= self._idle_s:
                standing.link.close()
            if standing.third is not None:
                self._come_back(node_id, now, dialer)

    def _find_delay(self, node_id: NodeId) -> float:
        return 0.0 if self._own < node_id else HEAD_START_S

    def _note_use(self, node_id: NodeId, batch: list[Any]) -> None:
        """Heartbeats keep no stream."""
        standing = self._standing.get(node_id)
        if standing is not None and not all(isinstance(message, Heartbeat) for message in batch):
            standing.used_at = self._now()

    # Directly.

    def _dial(self, descriptor: NodeDescriptor, dialer: Dialer) -> None:
        self._detours.trying(descriptor.node_id, self._now())
        self._tasks.start(f"route {descriptor.node_id}", self._hold(descriptor, self._dials.of(descriptor), dialer))

    async def _hold(self, descriptor: NodeDescriptor, state: DialState, dialer: Dialer) -> None:
        started_at, node_id = self._now(), descriptor.node_id
        settled = self._dialling[node_id] = asyncio.Event()
        try:
            await dialer.route(descriptor)
        except DIAL_FAILURES as error:
            if not self._is_direct(node_id):  # else it gave way to the one that stands
                self._log.warning("peer_dial_failed", peer=node_id, reason=str(error) or type(error).__name__)
                self._detours.failed(node_id)
                self._ask(node_id)
        finally:
            del self._dialling[node_id]
            settled.set()
        if self._now() - started_at > BACKOFF_CAP_S:
            state.failures = 0
        state.failed(self._now(), self._entropy)
        self._look_at = self._now()

    def _give_up(self, now: float) -> None:
        """What waits for a stream is told that there is none, unless one is dialled or may come about."""
        for node_id, until in list(self._wanted.items()):
            dialling = any(f"{what} {node_id}" in self._tasks for what in ("route", "carry"))
            gone = self._find(node_id) is None
            if now >= until:
                del self._wanted[node_id]
            elif gone or not (dialling or self._detours.may_come(node_id, now)):
                del self._wanted[node_id]
                self._chats.unreachable(node_id)

    # Through a third node.

    def _ask(self, node_id: NodeId) -> None:
        now = self._now()
        if self._detours.must_ask(node_id, now):
            self._detours.asked(node_id, now)
            self._look_at_node(node_id)

    def _go_through_third(self, descriptor: NodeDescriptor, now: float, dialer: Dialer) -> None:
        node_id = descriptor.node_id
        self._ask(node_id)
        name = self._detours.choose(node_id, now - self._find_delay(node_id))
        third = None if name is None else self._find(name)
        if third is not None:
            self._tasks.start(f"carry {node_id}", self._hold_carried(third, descriptor, dialer))

    async def _hold_carried(self, third: NodeDescriptor, descriptor: NodeDescriptor, dialer: Dialer) -> None:
        node_id = descriptor.node_id
        try:
            await dialer.carry(third, descriptor)
        except DIAL_FAILURES as error:
            reason = str(error) or type(error).__name__
            self._log.warning("peer_dial_failed", peer=node_id, third=third.node_id, reason=reason)
            self._detours.carried_ended(node_id, third.node_id, self._now())
        self._look_at = self._now()

    def _come_back(self, node_id: NodeId, now: float, dialer: Dialer) -> None:
        """Its chats resume on the direct stream, as on any new one, and the one through the third node ends by that."""
        self._ask(node_id)
        descriptor = self._find(node_id)
        if descriptor is not None and self._detours.is_direct_again(node_id, now - self._find_delay(node_id)):
            self._dial(descriptor, dialer)
