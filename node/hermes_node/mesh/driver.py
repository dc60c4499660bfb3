"""The mesh's IO: one tick drives the membership machine, dials peers that are wanted, and joins through seeds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.addresses import may_lead
from hermes_core.mesh.homes.machine import Homes
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.machine import (
    IncarnationRaised,
    MemberDescribed,
    MemberEvicted,
    Membership,
    MemberStateChanged,
    MeshEvent,
)
from hermes_core.mesh.messages import Clock, HeldMark, MemberClaim, MembershipUpdate, MemberState, NodeDescriptor, OwnMark
from hermes_core.mesh.opening_check import OpeningState
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.protocol.session import AppClaim
from hermes_node.config.sections import MeshSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.backoff import BACKOFF_CAP_S, Dials, DialState
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.handshake import NodeCredentials, OwnHellos, ProvedPeer
from hermes_node.mesh.homes import AppHomes
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer, MeshDescription, MeshFigures, MeshListener, Welcome
from hermes_node.mesh.joining import Joining
from hermes_node.mesh.links import GossipLink, PeerInbox, RouteLink
from hermes_node.mesh.name_conflicts import NameConflicts
from hermes_node.mesh.second_self import meet_second_self
from hermes_node.mesh.seeds import JoinState, SeedTarget
from hermes_node.mesh.streams import MeshStream, RouteStream
from hermes_node.mesh.tell import tell_mesh_event
from hermes_node.mesh.unmet import WAIT_S, UnmetMembers
from hermes_node.mesh.witnessing import Witnessing
from hermes_node.metrics.labels import DialResult, LinkPurpose
from hermes_node.metrics.registry import NodeMetrics
from hermes_wire.late_timers import let_inputs_arrive

MIN_TICK_S: Final = 0.01
_UP: Final = (MemberState.ALIVE, MemberState.SUSPECT)


class MeshDriver:
    """Owns the membership machine and every task that dials."""

    def __init__(
        self,
        *,
        identity: Identity,
        membership: Membership,
        settings: MeshSection,
        chats: PeerInbox,
        listener: MeshListener,
        witnessing: Witnessing,
        clocks: Clocks,
        now: Callable[[], float],
        log: EventLog,
        metrics: NodeMetrics,
        entropy: RandomSource,
        homes: Homes,
    ) -> None:
        self._identity = identity
        self._membership = membership
        self._chats = chats
        self._listener = listener
        self._witnessing = witnessing
        self._clocks = clocks
        self._now = now
        self._log = log
        self._metrics = metrics
        self._entropy = entropy
        self._gossip: dict[NodeId, GossipLink] = {}
        self._dials = Dials()
        self._unmet = UnmetMembers(now())
        self._dialer: Dialer | None = None
        self._hellos = OwnHellos()
        self._conflicts = NameConflicts(log, now)
        self._serving = False
        self._wake = asyncio.Event()
        self._tasks = DialTasks(log, self._wake.set)
        own = membership.descriptor.node_id
        self._joining = Joining(own, settings, self, self._tasks, now=now, log=log, metrics=metrics, entropy=entropy)
        self._homes = AppHomes(homes, listener, self._send_home, self._wake.set, now, log, metrics.directory)

    @property
    def local(self) -> NodeCredentials:
        return NodeCredentials(self._identity, self._membership.descriptor, self._entropy, self._hellos)

    @property
    def join_state(self) -> JoinState:
        return self._joining.state

    @property
    def opening(self) -> OpeningState:
        return self._witnessing.state

    def take_operator_answer(self, unix_ms: int) -> None:
        self._clocks.take_operator(unix_ms)
        self._witnessing.take_operator_answer()

    def describe(self) -> MeshDescription:
        own, members = self._membership.descriptor, tuple(self._membership.members.values())
        return MeshDescription(own.address, own.incarnation, members)

    def measure(self) -> MeshFigures:
        counts = {state: self._membership.count(state) for state in MemberState}
        return MeshFigures(counts, len(self._gossip), self._homes.count_held(), self._homes.count_own())

    def dialled(self, purpose: LinkPurpose, node_id: NodeId, result: DialResult) -> None:  # noqa: ARG002
        self._metrics.mesh.count_dial(purpose, result)

    def set_local_apps(self, claims: Mapping[AppId, AppClaim]) -> None:
        self._homes.set_local_apps(claims)

    def look_up(self, app_id: AppId) -> None:
        self._homes.look_up(app_id)

    def build_welcome(self) -> MembershipUpdate:
        """What a node that joins gets to know."""
        own = self._membership.descriptor
        claims = [MemberClaim(own, MemberState.ALIVE, own.incarnation)]
        claims += [MemberClaim(m.descriptor, m.state, m.incarnation) for m in self._membership.members.values()]
        return MembershipUpdate(tuple(claims))

    async def meet_self(self, stream: MeshStream[Any]) -> None:
        """Another process proved our key just now."""
        serves = self._joining.serves
        if not serves:
            self._joining.give_way()
        await meet_second_self(stream, self._listener, self._log, self._metrics.mesh, serves=serves)

    async def until_serving(self) -> None:
        await self._joining.until_serving()

    # What links report.

    def admit(self, peer: ProvedPeer) -> None:
        """A node proved itself: remember it as alive. Raises LIMIT_EXCEEDED, or AUTH_FAILED on an identity conflict."""
        descriptor = peer.descriptor
        claim = MemberClaim(descriptor, MemberState.ALIVE, descriptor.incarnation)
        self._membership.receive_update(descriptor.node_id, MembershipUpdate((claim,)), self._now())
        self._unmet.meet(descriptor.node_id)
        self._flush()

    def gossip_up(self, link: GossipLink) -> None:
        self._membership.link_up(link.descriptor, self._now())
        self._unmet.meet(link.node_id)
        former = self._gossip.get(link.node_id)
        self._gossip[link.node_id] = link
        self._joining.linked()
        if former is not None:
            former.outbox.close(discard=True)
        self._clocks.linked(link)
        self._witnessing.linked(link)
        self._log.info("peer_linked", peer=link.node_id)
        self._flush()
        self._homes.linked(link.node_id)

    def gossip_down(self, link: GossipLink) -> None:
        if self._gossip.get(link.node_id) is not link:
            return
        del self._gossip[link.node_id]
        self._clocks.unlinked(link)
        self._witnessing.unlinked(link)
        self._membership.link_down(link.node_id)
        self._log.info("peer_unlinked", peer=link.node_id)

    def receive_update(self, node_id: NodeId, update: MembershipUpdate) -> None:
        self._membership.receive_update(node_id, update, self._now())
        self._flush()
        if node_id in self._gossip:
            self._witnessing.take_list(node_id)

    def receive_swim(self, link: GossipLink, message: SwimMessage) -> None:  # noqa: ARG002
        raise ProtocolError(
            ErrorCode.INVALID_FRAME, "the nodes of a mesh have one mesh.membership: here it is gossip", scope=ErrorScope.STREAM
        )

    async def gives_way(self, node_id: NodeId) -> bool:  # noqa: ARG002 - one of the two dials, after all
        return False

    async def serve_route(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool) -> None:  # noqa: ARG002
        """Of each pair the lower node id dials."""
        node_id = peer.descriptor.node_id
        await RouteLink(peer, stream, self._chats, lambda _: self.heard(node_id)).run()

    async def serve_carried(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool, third: NodeId) -> None:  # noqa: ARG002
        peer.keys.wipe()
        raise _not_carried()

    async def carry(self, origin: NodeId, target: NodeId, stream: MeshStream[Any]) -> None:  # noqa: ARG002
        raise _not_carried()

    def heard(self, node_id: NodeId) -> None:
        self._membership.receive_heard(node_id, self._now())

    async def receive_mark(self, link: GossipLink, message: HeldMark | OwnMark) -> None:
        await self._witnessing.receive(link, message)

    def receive_clock(self, link: GossipLink, message: Clock) -> None:
        self._clocks.receive(link, message)

    def receive_homes(self, link: GossipLink, message: HomesMessage) -> None:
        self._homes.receive(link.node_id, message)

    def _send_home(self, node_id: NodeId, message: HomesMessage) -> None:
        link = self._gossip.get(node_id)
        if link is not None:
            link.send(message)

    # What the node asks.

    async def run(self, dialer: Dialer) -> None:
        """Tick until cancelled."""
        self._dialer = dialer
        while True:
            late_s = self._now() - self._membership.next_timer()
            if late_s >= 0:
                await let_inputs_arrive(late_s)
            now = self._now()
            if self._joining.serves and not self._serving:
                self._serving = True
                self._tell_members()
            self._membership.handle_timer(now)
            self._flush()
            self._clocks.tick()
            self._witnessing.tick()
            self._homes.tick()
            self._start_dials(now)
            self._joining.start(now, dialer)
            if self._joining.report():
                self._witnessing.find_nobody()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(MIN_TICK_S, self._next_due() - self._now())):
                    await self._wake.wait()
            self._wake.clear()

    def _next_due(self) -> float:
        """When `run` has something to do, unless news or a task that ended wake it before."""
        due = min(self._membership.next_timer(), self._joining.next_due(), self._witnessing.next_due(), self._clocks.next_due())
        due = min(due, self._homes.next_due())
        for descriptor in self._membership.wanted_links():
            if _link_task(descriptor) not in self._tasks:
                due = min(due, self._dials.of(descriptor).next_at)
        return due

    async def leave(self) -> None:
        """Tell every peer that this node goes, then end all streams."""
        self._tasks.closing = True
        self._membership.leave()
        self._flush()
        for link in self._gossip.values():
            link.outbox.close()
        await asyncio.sleep(0)  # the writers take what waits

    async def close(self) -> None:
        """End every dialling task."""
        self._homes.close()
        await self._tasks.close()

    def _flush(self) -> None:
        """Hand out what the machine wants sent, and tell what happened."""
        output = self._membership.take_output()
        for send in output.sends:
            link = self._gossip.get(send.node_id)
            if link is not None:
                link.send(send.update)
        for event in output.events:
            self._tell(event)
            self._wake.set()  # whom it is about may have to be dialled
        if output.events:
            self._tell_members()

    def _tell_members(self) -> None:
        """Witnesses are waited for from when they can be linked with on."""
        up = {name: member.incarnation for name, member in self._membership.members.items() if member.state in _UP}
        if self._serving:
            self._witnessing.update_members([*up])
        self._homes.set_members(up)

    def _tell(self, event: MeshEvent) -> None:
        tell_mesh_event(event, self._listener, self._log, self._metrics, self._conflicts)
        match event:
            case MemberStateChanged(node_id, _, after):
                if after in (MemberState.DEAD, MemberState.LEFT):
                    self._lose(node_id)
            case MemberEvicted(node_id):
                self._unmet.forget(node_id)
            case MemberDescribed(descriptor):
                self._leave_former_address(descriptor)
            case IncarnationRaised(incarnation):
                self._homes.set_incarnation(incarnation)
                self._listener.incarnation_raised(incarnation)
            case _:
                pass

    def _leave_former_address(self, descriptor: NodeDescriptor) -> None:
        """Where it was before there may be nobody who ends the stream, while it says elsewhere that it lives."""
        link = self._gossip.get(descriptor.node_id)
        if link is not None and link.descriptor.address != descriptor.address:
            link.outbox.close(discard=True)

    def _lose(self, node_id: NodeId) -> None:
        """A dead peer's streams are ended: when it comes back its chats resume on new ones."""
        link = self._gossip.get(node_id)
        if link is not None:
            link.outbox.close(discard=True)
        self._listener.peer_dead(node_id)

    def _start_dials(self, now: float) -> None:
        for descriptor in self._membership.wanted_links():
            state, task = self._dials.of(descriptor), _link_task(descriptor)
            if now < state.next_at or task in self._tasks:
                continue
            if self._unmet.begin_dial(descriptor.node_id, now):
                self._tasks.start(task, self._link(descriptor, state))
            else:
                state.next_at = now + WAIT_S

    async def _link(self, descriptor: NodeDescriptor, state: DialState) -> None:
        started_at = self._now()
        try:
            if self._dialer is not None:
                await self._dialer.link(descriptor)
        except DIAL_FAILURES as error:
            self._log.warning("peer_dial_failed", peer=descriptor.node_id, reason=str(error) or type(error).__name__)
        finally:
            self._unmet.end_dial(descriptor.node_id)
        if self._now() - started_at > BACKOFF_CAP_S:
            state.failures = 0
        state.failed(self._now(), self._entropy)

    # What joining asks.

    def is_linked(self, node_id: NodeId) -> bool:
        member = self._membership.members.get(node_id)
        return member is not None and member.state is MemberState.ALIVE and member.connected

    def list_lost(self) -> Iterator[SeedTarget]:
        """Members that seem dead are asked whether they are back."""
        own, members = self._membership.descriptor.address, self._membership.members.values()
        lost = [member for member in members if member.state is MemberState.DEAD and may_lead(member.descriptor.address, own)]
        for member in self._unmet.choose_lost(lost):
            yield SeedTarget(member.descriptor.address, member.descriptor.node_id)

    def take_welcome(self, welcome: Welcome) -> None:
        if welcome.update is not None:
            self.receive_update(welcome.node_id, welcome.update)


def _link_task(descriptor: NodeDescriptor) -> str:
    """A dial to where the node was before holds up none to where it is now."""
    return f"link {descriptor.node_id} {descriptor.address}"


def _not_carried() -> ProtocolError:
    return ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "here mesh.membership is gossip", scope=ErrorScope.STREAM)
