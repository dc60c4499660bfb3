"""RouteChat streams that are dialled when a chat needs one: one for each pair of nodes, closed when it is idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hermes_core.crypto.random import RandomSource
from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.protocol.session import Heartbeat
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
    link: RouteLink
    dialler: NodeId
    since: float
    used_at: float


class Routes:
    """The owner of this node's RouteChat streams. Of two that were dialled at once the one stays that the lower id dialled."""

    def __init__(
        self,
        own: NodeId,
        chats: Travellers,
        find: Callable[[NodeId], NodeDescriptor | None],
        tasks: DialTasks,
        *,
        idle_s: float,
        now: Callable[[], float],
        log: EventLog,
        entropy: RandomSource,
    ) -> None:
        """`find`: where a node is reached, if it is a member that is up. `tasks` call back whenever one ends."""
        self._own = own
        self._chats = chats
        self._find = find
        self._tasks = tasks
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
        self._look_at = now()

    async def serve(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool) -> None:
        """A stream on which a node proved who it is, until it ends."""
        node_id, now = peer.descriptor.node_id, self._now()
        dialler, former = self._own if dialled else node_id, self._standing.get(node_id)
        if former is not None and now - former.since < CROSSED_S and former.dialler < dialler:
            peer.keys.wipe()
            return
        standing = _Standing(
            RouteLink(peer, stream, self._chats.streams, lambda batch: self._note_use(node_id, batch)), dialler, now, now
        )
        self._standing[node_id] = standing
        if dialled and node_id in self._dialling:
            self._dialling[node_id].set()
        self._missed.pop(node_id, None)
        if former is not None:
            former.link.close()
        try:
            await standing.link.run()
        finally:
            if self._standing.get(node_id) is standing:
                del self._standing[node_id]
                self._look_at = self._now()

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
        return node_id in self._standing

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._standing

    def want(self, node_id: NodeId, dialer: Dialer) -> None:
        """Something is to be said to this node now."""
        descriptor = None if node_id in self._standing else self._find(node_id)
        if descriptor is not None:
            self._dial(descriptor, dialer)
        elif node_id not in self._standing:
            self._chats.unreachable(node_id)

    def close(self, node_id: NodeId) -> None:
        """The node is dead or gone."""
        standing = self._standing.get(node_id)
        if standing is not None:
            standing.link.close()

    def next_due(self) -> float:
        return self._look_at

    def tick(self, now: float, dialer: Dialer) -> None:
        """Dial what chats need and has no stream, close what none has needed for long."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        needed = dict.fromkeys(self._chats.list_needed_nodes())
        self._missed = {node_id: self._missed.get(node_id, now) for node_id in needed if node_id not in self._standing}
        for node_id, since in self._missed.items():
            if now < since + (0.0 if self._own < node_id else HEAD_START_S):
                continue
            descriptor = self._find(node_id)
            if descriptor is not None and now >= self._dials.of(descriptor).next_at:
                self._dial(descriptor, dialer)
        for node_id, standing in self._standing.items():
            if node_id in needed:
                standing.used_at = now
            elif now - standing.used_at >= self._idle_s:
                standing.link.close()

    def _note_use(self, node_id: NodeId, batch: list[Any]) -> None:
        """Heartbeats keep no stream."""
        standing = self._standing.get(node_id)
        if standing is not None and not all(isinstance(message, Heartbeat) for message in batch):
            standing.used_at = self._now()

    def _dial(self, descriptor: NodeDescriptor, dialer: Dialer) -> None:
        self._tasks.start(f"route {descriptor.node_id}", self._hold(descriptor, self._dials.of(descriptor), dialer))

    async def _hold(self, descriptor: NodeDescriptor, state: DialState, dialer: Dialer) -> None:
        started_at = self._now()
        settled = self._dialling[descriptor.node_id] = asyncio.Event()
        try:
            await dialer.route(descriptor)
        except DIAL_FAILURES as error:
            if descriptor.node_id not in self._standing:  # else it gave way to the one that stands
                self._log.warning("peer_dial_failed", peer=descriptor.node_id, reason=str(error) or type(error).__name__)
        finally:
            del self._dialling[descriptor.node_id]
            settled.set()
        if self._now() - started_at > BACKOFF_CAP_S:
            state.failures = 0
        state.failed(self._now(), self._entropy)
        if descriptor.node_id not in self._standing:
            self._chats.unreachable(descriptor.node_id)
