"""SWIM's IO: Gossip streams are the machine's links, one task turns its clock, its reports go where the mesh's news go."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.carry.detours import Detours
from hermes_core.mesh.carry.places import CarryPlaces
from hermes_core.mesh.homes.machine import Homes
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.machine import Member, MeshEvent
from hermes_core.mesh.messages import Clock, HeldMark, MembershipUpdate, MemberState, NodeDescriptor, OwnMark
from hermes_core.mesh.opening_check import OpeningState
from hermes_core.mesh.pin_codec import encode_pin
from hermes_core.mesh.pin_keeper import PinKeeper
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.messages import SwimMessage, SyncDigests, SyncFacts, SyncListing, SyncWanted
from hermes_core.mesh.swim.output import (
    OwnFutureSeen,
    OwnIncarnationRaised,
    ProbeEnded,
    ReservationWanted,
    StandingChanged,
    SwimEvent,
)
from hermes_core.mesh.swim.roster import SwimMember
from hermes_core.protocol.session import AppClaim
from hermes_keystore.history import Place
from hermes_node.config.sections import MeshSection
from hermes_node.keystore.pins import place_pin
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.handshake import NodeCredentials, OwnHellos, ProvedPeer
from hermes_node.mesh.homes import AppHomes, Mail
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer, MeshDescription, MeshFigures, SwimListener, Welcome
from hermes_node.mesh.joining import Joining
from hermes_node.mesh.links import GossipLink
from hermes_node.mesh.name_conflicts import NameConflicts
from hermes_node.mesh.reach import Reach
from hermes_node.mesh.routes import Routes, Travellers
from hermes_node.mesh.second_self import meet_second_self
from hermes_node.mesh.seeds import JoinState, SeedTarget
from hermes_node.mesh.streams import MeshStream, RouteStream
from hermes_node.mesh.swim_events import list_mesh_events, log_swim_event
from hermes_node.mesh.swim_links import SwimLinks
from hermes_node.mesh.tell import tell_mesh_event
from hermes_node.mesh.third import ThirdNode
from hermes_node.mesh.witnessing import Witnessing
from hermes_node.metrics.events import record_swim_event
from hermes_node.metrics.labels import DialResult, LinkPurpose, MeshBudget, ProbeDirection
from hermes_node.metrics.registry import NodeMetrics
from hermes_wire.late_timers import let_inputs_arrive

MIN_TICK_S: Final = 0.01
SHORT_S: Final = 2.0
"""Who refuses a link says so after both proofs, when it stands at the end that dialled."""
JOINS_AT_ONCE: Final = 3
"""A name may stand for a thousand nodes: one that welcomes is enough, the others are found by what members tell."""


class SwimDriver:
    """Owns the machine of SWIM and every task that dials."""

    def __init__(
        self,
        *,
        identity: Identity,
        swim: Swim,
        pins: PinKeeper,
        keep: Callable[[Mapping[Place, bytes], Collection[Place]], None],
        settings: MeshSection,
        chats: Travellers,
        listener: SwimListener,
        witnessing: Witnessing,
        clocks: Clocks,
        commit_age: Callable[[], float],
        now: Callable[[], float],
        boot: Callable[[], float],
        log: EventLog,
        metrics: NodeMetrics,
        entropy: RandomSource,
        homes: Homes,
        detours: Detours,
        places: CarryPlaces,
    ) -> None:
        """`boot`: the clock that goes on while the machine sleeps. `commit_age`: of the oldest commit under way, in seconds.

        `keep` commits rows and deletions, soon, in the order of the calls.
        """
        self._identity = identity
        self._swim = swim
        self._pins = pins
        self._keep = keep
        self._listener = listener
        self._witnessing = witnessing
        self._clocks = clocks
        self._commit_age = commit_age
        self._now = now
        self._boot = boot
        self._log = log
        self._metrics = metrics
        self._entropy = entropy
        self._dialer: Dialer | None = None
        self._wake = asyncio.Event()
        self._sleeps_until = 0.0
        self._tasks = DialTasks(log, self._wake.set)
        self._own = own = swim.descriptor.node_id
        self._links = SwimLinks(own, now)
        self._reach = Reach(now, log)
        self._mail = Mail()
        self._homes = AppHomes(homes, listener, self._send_home, self._wake.set, now, log, metrics.directory)
        self._joining = Joining(
            own, settings, self, self._tasks, now=now, log=log, metrics=metrics, entropy=entropy, at_once=JOINS_AT_ONCE
        )
        self._routes = Routes(
            own,
            chats,
            self._find_up,
            self._tasks,
            detours,
            self._look_at,
            idle_s=settings.route_idle_s,
            now=now,
            log=log,
            entropy=entropy,
        )
        self._third = ThirdNode(places, now, metrics)
        self._hellos = OwnHellos()
        self._conflicts = NameConflicts(log, now)
        self._compared = False
        """With any member: from then on this node knows whom the others know."""
        self._serving = False
        """Before, nobody is probed: a member that this newcomer may not link with yet is not silent."""

    @property
    def local(self) -> NodeCredentials:
        return NodeCredentials(self._identity, self._swim.descriptor, self._entropy, self._hellos)

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
        own, members = self._swim.descriptor, tuple(map(self._describe, self._swim.roster))
        return MeshDescription(own.address, own.incarnation, members, self._reach.list_unreached())

    def measure(self) -> MeshFigures:
        parts, states = self._swim.parts, Counter(member.state for member in self._swim.roster)
        states[MemberState.ALIVE] += 1
        return MeshFigures(
            members={state: states[state] for state in MemberState},
            links=len(self._links),
            entries_held=self._homes.count_held(),
            entries_own=self._homes.count_own(),
            unreached=len(self._reach.list_unreached()),
            rumours=len(parts.rumours),
            local_health=parts.health.score,
            routes_by_third=self._routes.count_by_third(),
            carried=len(self._third),
            refused={
                MeshBudget.PROBE_REQUESTS: self._swim.errands.refused_requests,
                MeshBudget.PROBE_ANSWERS: self._swim.errands.refused_answers,
                MeshBudget.DESCRIPTORS: parts.updates.refused,
            },
        )

    def _describe(self, member: SwimMember) -> Member:
        descriptor = member.descriptor
        return Member(
            descriptor,
            member.state,
            descriptor.incarnation,
            heard_at=member.changed_at,
            changed_at=member.changed_at,
            connected=descriptor.node_id in self._links,
        )

    def set_local_apps(self, claims: Mapping[AppId, AppClaim]) -> None:
        self._homes.set_local_apps(claims)

    def look_up(self, app_id: AppId) -> None:
        self._homes.look_up(app_id)

    def want_route(self, node_id: NodeId) -> None:
        """A chat has something to say to this node."""
        if self._dialer is not None:
            self._routes.want(node_id, self._dialer)

    # What streams report.

    def admit(self, peer: ProvedPeer) -> None:
        """A node proved itself on a stream that is no link. AUTH_FAILED when it may not bear its name."""
        if not self._swim.admits(peer.descriptor, self._now()):
            self._flush()
            raise _taken()

    def build_welcome(self) -> MembershipUpdate:
        """Whom this node knows is compared over the link that follows."""
        return MembershipUpdate(())

    async def meet_self(self, stream: MeshStream[Any]) -> None:
        """Another process proved our key just now."""
        serves = self._joining.serves
        if not serves:
            self._joining.give_way()
        await meet_second_self(stream, self._listener, self._log, self._metrics.mesh, serves=serves)

    async def until_serving(self) -> None:
        await self._joining.until_serving()

    async def gives_way(self, node_id: NodeId) -> bool:
        return await self._routes.gives_way(node_id)

    def dialled(self, purpose: LinkPurpose, node_id: NodeId, result: DialResult) -> None:
        self._metrics.mesh.count_dial(purpose, result)
        if result is DialResult.CONNECTED:
            self._reach.reach(node_id)
        elif purpose is LinkPurpose.CHATS and node_id not in self._routes:  # else it gave way to the one that stands
            self._reach.miss(node_id, f"no dial for chats leads there: {result.value}")

    async def serve_route(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool) -> None:
        await self._routes.serve(peer, stream, dialled=dialled)

    async def serve_carried(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool, third: NodeId) -> None:
        """As `serve_route`, where no certificate vouches for the name: it counts with the key that it was pinned to before."""
        if not (self._swim.is_pinned(peer.descriptor) and self._swim.admits(peer.descriptor, self._now())):
            self._flush()
            peer.keys.wipe()
            raise ProtocolError(ErrorCode.AUTH_FAILED, "not the key that this name is pinned to", scope=ErrorScope.STREAM)
        await self._routes.serve(peer, stream, dialled=dialled, third=third)

    async def carry(self, origin: NodeId, target: NodeId, stream: MeshStream[Any]) -> None:
        """This node is the third one."""
        found = self._find_up(target) if target in self._links else None
        await self._third.carry(origin, found, stream, self._dialer)

    def gossip_up(self, link: GossipLink) -> None:
        """AUTH_FAILED when who proved itself may not bear its name."""
        if not self._links.prevails(link):
            link.outbox.close(discard=True)
            return
        if not self._swim.link_up(link.descriptor, self._now()):
            self._flush()
            raise _taken()
        former = self._links.put(link)
        self._tell_whether_it_answers(link.node_id)
        self._joining.linked()
        self._clocks.linked(link)
        self._witnessing.linked(link)
        if former is not None:
            former.outbox.close(discard=True)
            self._let_go(former)
        self._pins.take(link.descriptor, self._now())
        self._log.info("peer_linked", peer=link.node_id)
        self._listener.member_described(link.descriptor)
        self._flush()
        for message in self._mail.take(link.node_id):
            link.send(message)
        self._homes.linked(link.node_id)

    def gossip_down(self, link: GossipLink) -> None:
        if self._links.drop(link):
            self._swim.link_down(link.node_id)
            self._tell_whether_it_answers(link.node_id)
            self._let_go(link)
            self._log.info("peer_unlinked", peer=link.node_id)

    def _let_go(self, link: GossipLink) -> None:
        self._clocks.unlinked(link)
        self._witnessing.unlinked(link)

    def receive_swim(self, link: GossipLink, message: SwimMessage) -> None:
        if not self._links.holds(link):
            return
        self._metrics.swim.count_messages(ProbeDirection.RECEIVED, 1)
        self._swim.receive(link.node_id, message, self._now())
        self._flush()
        told = isinstance(message, SyncListing | SyncWanted | SyncFacts)
        if told or (isinstance(message, SyncDigests) and self._swim.is_known_to(message.sums)):
            self._compared = True
            self._tell_lists()

    def receive_update(self, node_id: NodeId, update: MembershipUpdate) -> None:  # noqa: ARG002
        """INVALID_FRAME for members."""
        if update.members:
            detail = "the nodes of a mesh have one mesh.membership: here it is swim"
            raise ProtocolError(ErrorCode.INVALID_FRAME, detail, scope=ErrorScope.STREAM)

    def heard(self, node_id: NodeId) -> None:
        """Only answers to probes say that a member lives."""

    async def receive_mark(self, link: GossipLink, message: HeldMark | OwnMark) -> None:
        await self._witnessing.receive(link, message)

    def receive_homes(self, link: GossipLink, message: HomesMessage) -> None:
        if self._links.holds(link):
            self._homes.receive(link.node_id, message)

    def _send_home(self, node_id: NodeId, message: HomesMessage) -> None:
        """Over the link that stands, or over one that is dialled for it."""
        link, descriptor = self._links.find(node_id), self._find_up(node_id)
        if link is not None:
            link.send(message)
        elif descriptor is not None:
            self._mail.keep(node_id, message)
            self._swim.want_link(descriptor, self._now())
            self._flush()

    def receive_clock(self, link: GossipLink, message: Clock) -> None:
        self._clocks.receive(link, message)

    # What joining asks.

    def is_linked(self, node_id: NodeId) -> bool:
        return self._swim.roster.find_up(node_id) is not None

    def list_lost(self) -> Iterable[SeedTarget]:
        return ()  # the machine tries the dead again by itself

    def take_welcome(self, welcome: Welcome) -> None:
        if welcome.descriptor is not None:
            self._swim.reached(welcome.descriptor)
            self._flush()

    # What the node asks.

    async def run(self, dialer: Dialer) -> None:
        """Tick until cancelled."""
        self._dialer = dialer
        while True:
            late_s = self._now() - self._swim.next_timer()
            if late_s >= 0:
                await let_inputs_arrive(late_s)
            now = self._now()
            self._swim.judge_commit(self._commit_age())
            if self._joining.serves:
                self._begin_serving()
                self._swim.handle_timer(now, self._boot())
            self._flush()
            self._clocks.tick()
            self._witnessing.tick()
            self._homes.tick()
            self._save_pins(now)
            self._dial_wanted(now)
            self._routes.tick(now, dialer)
            self._joining.start(now, dialer)
            if self._joining.report():
                self._witnessing.find_nobody()
            self._sleeps_until = max(self._next_due(), self._now() + MIN_TICK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._sleeps_until - self._now()):
                    await self._wake.wait()
            self._sleeps_until = 0.0
            self._wake.clear()

    def _next_due(self) -> float:
        """When `run` has something to do, unless news or a task that ended wake it before."""
        owners = (self._joining, self._witnessing, self._clocks, self._routes, self._homes)
        save_at = self._pins.next_timer()
        times = [owner.next_due() for owner in owners]
        if self._serving:
            times.append(self._swim.next_timer())
        return min(times) if save_at is None else min(*times, save_at)

    def _is_due_sooner(self) -> bool:
        """What came in may be to be told on, or decided, long before what this driver sleeps for."""
        return self._serving and self._swim.next_timer() < self._sleeps_until

    def _save_pins(self, now: float) -> None:
        changed = self._pins.take_unsaved(now)
        puts = {place_pin(node_id): encode_pin(pin) for node_id, pin in changed.items() if pin is not None}
        if changed:
            self._keep(puts, [place_pin(node_id) for node_id, pin in changed.items() if pin is None])

    async def leave(self) -> None:
        """Tell every member that is linked that this node goes, then end all streams."""
        self._tasks.closing = True
        self._swim.leave()
        self._flush()
        for link in self._links:
            link.outbox.close()
        await asyncio.sleep(0)  # the writers take what waits

    async def close(self) -> None:
        """End every dialling task."""
        self._homes.close()
        await self._tasks.close()

    # What the machine wants.

    def _flush(self) -> None:
        output = self._swim.take_output()
        self._metrics.swim.count_messages(ProbeDirection.SENT, len(output.sends))
        for probe in output.probes:
            self._take_probe(probe)
        for send in output.sends:
            link = self._links.find(send.node_id)
            if link is not None:
                link.send(send.message)
        for node_id in output.hangups:
            link = self._links.find(node_id)
            if link is not None:
                self._links.drop(link)
                self._let_go(link)
                link.outbox.close()
        for descriptor in output.dials:
            self._dial(descriptor)
        for event in output.events:
            self._take(event)
        if output.events:
            self._tell_members()
        if output.events or output.dials or self._is_due_sooner():
            self._wake.set()

    def _tell_members(self) -> None:
        """Witnesses are waited for from when they can be linked with on."""
        up = {member.descriptor.node_id: member.descriptor.incarnation for member in self._swim.roster if member.is_up}
        if self._serving:
            self._witnessing.update_members([*up])
        self._tell_lists()
        self._homes.set_members(up)

    def _begin_serving(self) -> None:
        if not self._serving:
            self._serving = True
            self._tell_members()

    def _take_probe(self, probe: ProbeEnded) -> None:
        self._metrics.swim.observe_probe(probe.result, probe.seconds)
        self._reach.take_probe(probe)
        if self._routes.note_probe(probe):
            self._wake.set()

    def _look_at(self, node_id: NodeId) -> None:
        self._swim.look_at(node_id, self._now())
        self._flush()

    def _take(self, event: SwimEvent) -> None:
        record_swim_event(self._metrics, event)
        log_swim_event(self._log, event)
        for told in list_mesh_events(event):
            self._report(told)
        if isinstance(event, ReservationWanted):
            self._listener.reserve_incarnations(event.up_to, self._reserved)
        elif isinstance(event, OwnFutureSeen):
            self._listener.own_future_seen(event.incarnation, event.known)
        elif isinstance(event, OwnIncarnationRaised):
            self._homes.set_incarnation(event.incarnation)
        elif isinstance(event, StandingChanged):
            self._tell_whether_it_answers(event.node_id)
            if event.after in (MemberState.DEAD, MemberState.LEFT):
                self._lose(event.node_id)

    def _tell_whether_it_answers(self, node_id: NodeId) -> None:
        """For apps that seek it: of a ring neighbour the link says so, which a kill ends at once, long before SWIM knows of it.

        To other members links come and go.
        """
        roster = self._swim.parts.roster
        member = roster.get(node_id)
        stands = node_id in self._links or node_id not in roster.rings.targets
        answers = member is not None and member.state is MemberState.ALIVE and stands
        self._listener.standing_changed(node_id, answers=answers)

    def _report(self, event: MeshEvent) -> None:
        tell_mesh_event(event, self._listener, self._log, self._metrics, self._conflicts)

    def _reserved(self, up_to: int) -> None:
        self._swim.incarnations_reserved(up_to)
        self._flush()

    def _lose(self, node_id: NodeId) -> None:
        """A dead member's streams are ended: when it comes back its chats resume on new ones."""
        link = self._links.find(node_id)
        if link is not None:
            link.outbox.close(discard=True)
        self._routes.close(node_id)
        self._reach.forget(node_id)
        self._mail.take(node_id)
        self._listener.peer_dead(node_id)

    def _find_up(self, node_id: NodeId) -> NodeDescriptor | None:
        member = self._swim.roster.find_up(node_id)
        return None if member is None else member.descriptor

    def _tell_lists(self) -> None:
        """Whom any member knows, this node knows, once it has compared with one and holds no name that nobody vouched for."""
        if self._compared and not self._swim.has_rumours:
            for link in self._links.take_unlisted():
                self._witnessing.take_list(link.node_id)

    # Dialling.

    def _dial_wanted(self, now: float) -> None:
        """Links that the machine has no use for: to witnesses."""
        for node_id in self._witnessing.wanted:
            descriptor = None if node_id in self._links else self._find_up(node_id)
            if descriptor is not None:
                self._swim.want_link(descriptor, now)
        self._flush()

    def _dial(self, descriptor: NodeDescriptor) -> None:
        if self._links.begin_dial(descriptor.node_id):
            self._tasks.start(f"link {descriptor.node_id} {self._links.dials}", self._link(descriptor))

    async def _link(self, descriptor: NodeDescriptor) -> None:
        started_at = self._now()
        try:
            if self._dialer is not None:
                await self._dialer.gossip(descriptor)
        except DIAL_FAILURES as error:
            self._log.warning("peer_dial_failed", peer=descriptor.node_id, reason=str(error) or type(error).__name__)
        finally:
            if self._links.end_dial(descriptor.node_id):
                self._mail.take(descriptor.node_id)
                self._swim.dial_failed(descriptor.node_id, self._now())
                self._flush()
            elif descriptor.node_id not in self._links and self._now() - started_at < SHORT_S:
                self._swim.cut_short(descriptor, self._now())


def _taken() -> ProtocolError:
    return ProtocolError(ErrorCode.AUTH_FAILED, "no room, or this node id is in use with another identity key")
