"""SWIM with Lifeguard as a sans-IO machine: links, messages and time in; what to send, whom to dial and what happened out.

Inputs that wait come before timers, in every driver: an answer that is here must not be counted as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hermes_core.handshake.renewal import list_former_keys
from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.accusers import Accusers
from hermes_core.mesh.swim.anti_entropy import AntiEntropy
from hermes_core.mesh.swim.budgets import Budgets
from hermes_core.mesh.swim.dissemination import Dissemination
from hermes_core.mesh.swim.errands import Errands
from hermes_core.mesh.swim.health import LocalHealth
from hermes_core.mesh.swim.hearsay import Hearsay
from hermes_core.mesh.swim.incarnation import OwnIncarnation
from hermes_core.mesh.swim.judge import Judge
from hermes_core.mesh.swim.links import MemberLinks
from hermes_core.mesh.swim.messages import (
    Accusation,
    Alive,
    Fact,
    Ping,
    PingReport,
    PingRequest,
    Pong,
    SwimMessage,
    SyncDigests,
    SyncFacts,
    SyncListing,
    SyncWanted,
)
from hermes_core.mesh.swim.output import Outlet, OwnIncarnationRaised, SwimOutput
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.parts import DrawBelow, SwimParts, TimerKey
from hermes_core.mesh.swim.pauses import Pauses
from hermes_core.mesh.swim.pins import Pins
from hermes_core.mesh.swim.prober import Prober
from hermes_core.mesh.swim.roster import Roster, SwimMember
from hermes_core.mesh.swim.rounds import Rounds
from hermes_core.mesh.swim.rumours import Rumours
from hermes_core.mesh.swim.statements import Signatures
from hermes_core.mesh.swim.suspicions import Suspicions
from hermes_core.protocol.timers import TimerHeap

_TICK: Final[TimerKey] = ("tick", 0)


class Swim:
    """One node's view of who is there."""

    def __init__(
        self,
        descriptor: NodeDescriptor,
        signatures: Signatures,
        draw: DrawBelow,
        params: SwimParams,
        now: float,
        *,
        boot: float | None = None,
        known: Iterable[NodeDescriptor] = (),
    ) -> None:
        """`draw(n)`: a number below n; `known`: members whose keys this node pinned before it restarted.

        `boot`: the clock that goes on while the machine sleeps.
        """
        outlet = Outlet()
        self._parts = parts = SwimParts(
            params=params,
            signatures=signatures,
            draw=draw,
            outlet=outlet,
            own=OwnIncarnation(descriptor, signatures),
            roster=Roster(descriptor.node_id, params, outlet, _make_shuffle(draw)),
            pins=Pins(params.max_pins),
            rumours=Rumours(params.rumours_a_sender, params.failed_rumours, params.recheck_s),
            suspicions=Suspicions(),
            accusers=Accusers(params.open_accusations, params.blame_s),
            news=Dissemination(),
            links=MemberLinks(params, outlet),
            health=LocalHealth(params.max_health),
            updates=Budgets(params.updates_a_subject, params.tidy_periods * params.period_s),
            naming=Budgets(1, params.blame_s),
            timers=TimerHeap(),
        )
        self._judge = Judge(parts)
        self._hearsay = Hearsay(parts, self._judge)
        self._prober = Prober(parts, self._judge)
        self._errands = Errands(parts)
        self._anti_entropy = AntiEntropy(parts, self._hearsay, now)
        self._rounds = Rounds(parts, now)
        self._pauses = Pauses(now, now if boot is None else boot)
        for member in known:
            parts.pins.pin(member.node_id, member.node_key, list_former_keys(member.renewals))
            parts.roster.admit(member, now)
        parts.announce()
        parts.timers.schedule(_TICK, now + parts.draw_time(0.0, params.period_s))

    @property
    def descriptor(self) -> NodeDescriptor:
        return self._parts.own.descriptor

    @property
    def roster(self) -> Roster:
        return self._parts.roster

    @property
    def parts(self) -> SwimParts:
        """For whoever looks on: metrics and tests."""
        return self._parts

    @property
    def errands(self) -> Errands:
        """The same."""
        return self._errands

    @property
    def is_ready(self) -> bool:
        return self._parts.health.is_ready

    def link_up(self, descriptor: NodeDescriptor, now: float) -> bool:
        """A link stands and its other end proved name and key; False when it may not bear that name: then end that link.

        Another one under the name, of who may bear it, goes on.
        """
        member = self._hearsay.meet(descriptor, now)
        if member is None:
            self._contest(descriptor, now)
            return False
        self._parts.links.stand(descriptor.node_id, self._parts.roster.rings.targets)
        came_back = not member.is_up
        self._answered(member, now)
        self._anti_entropy.meet(member, came_back=came_back)
        return True

    def admits(self, descriptor: NodeDescriptor, now: float) -> bool:
        """Whether who proved name and key on another kind of stream may bear that name."""
        admitted = self._hearsay.admits(descriptor)
        if not admitted:
            self._contest(descriptor, now)
        return admitted

    def is_pinned(self, descriptor: NodeDescriptor) -> bool:
        """Whether a link of this node's own proved this key under this name before."""
        return self._parts.pins.holds(descriptor.node_id, descriptor.node_key)

    def look_at(self, node_id: NodeId, now: float) -> None:
        """Somebody else wants to know whether this member answers, and through whom: it is probed, unless it is already."""
        member = self._parts.roster.find_up(node_id)
        if member is not None:
            self._prober.probe(member, now)

    def link_down(self, node_id: NodeId) -> None:
        self._parts.links.end(node_id)

    def dial_failed(self, node_id: NodeId, now: float) -> None:
        self._parts.links.fail(node_id, now)
        self._parts.rumours.refuse(node_id, now)
        self._prober.dial_failed(node_id, now)
        self._errands.dial_failed(node_id)

    def receive(self, sender: NodeId, message: SwimMessage, now: float) -> None:
        """A message within its bounds, over the link to this member."""
        member = self._parts.roster.get(sender)
        if member is None or sender not in self._parts.links:
            return
        self._parts.links.touch(sender)
        if isinstance(message, Ping | Pong | PingRequest | SyncFacts):
            for fact in message.facts:
                self._hear(fact, sender, now, spread=not isinstance(message, SyncFacts))
        if isinstance(message, SyncDigests | SyncListing | SyncWanted | SyncFacts):
            self._compare(member, message, now)
        else:
            self._probe_or_answer(member, message, now)

    def leave(self) -> None:
        """Tell whoever is linked that this node goes on purpose; the link's end may follow."""
        departure = self._parts.own.leave()
        self._parts.news.tell(departure)
        for node_id in list(self._parts.links):
            self._parts.outlet.send(node_id, SyncFacts((departure,)))

    def incarnations_reserved(self, up_to: int) -> None:
        """The keystore holds it durably."""
        if self._parts.own.reserve(up_to):
            self._parts.announce()
            self._parts.outlet.report(OwnIncarnationRaised(self.descriptor.incarnation))

    @property
    def has_rumours(self) -> bool:
        """Names were heard of that nobody vouched for yet."""
        return len(self._parts.rumours) > 0

    def is_known_to(self, sums: tuple[int, ...]) -> bool:
        """Whether who sends these sums of a comparison holds the same members for up."""
        return not self._parts.roster.digests.compare(sums)

    def want_link(self, descriptor: NodeDescriptor, now: float) -> None:
        """Somebody else has use for a link: it is dialled, unless it stands, or a dial there failed too short a time ago."""
        if self._parts.links.can_dial(descriptor.address, now):
            self._parts.links.dial(descriptor)

    def cut_short(self, descriptor: NodeDescriptor, now: float) -> None:
        """The link that a dial there led to ended as soon as it stood."""
        self._parts.links.cut_short(descriptor.address, now)

    def reached(self, descriptor: NodeDescriptor) -> None:
        """Who proved this answered at its address just now, on another kind of stream: it is linked with at once."""
        self._parts.links.forgive(descriptor.address)
        self._parts.links.dial(descriptor)

    def judge_commit(self, age_s: float) -> None:
        """How long the oldest commit under way has been waiting for the disk."""
        self._parts.health.judge_commit(age_s, self._parts.params.stale_commit_s)

    def next_timer(self) -> float:
        due = self._parts.timers.next_due()
        return float("inf") if due is None else due

    def handle_timer(self, now: float, boot: float | None = None) -> None:
        due = self.next_timer()
        if now < due:
            return
        away = self._pauses.measure(now, now if boot is None else boot, due, self._parts.params.period_s)
        if away:
            self._parts.suspicions.shift(away)
            self._prober.restart(now)
        for kind, key in self._parts.timers.pop_due(now):
            self._fire(kind, key, now)

    def take_output(self) -> SwimOutput:
        return self._parts.outlet.take()

    def _fire(self, kind: str, key: NodeId | int, now: float) -> None:
        if isinstance(key, int):
            if kind == "tick":
                self._tick(now)
            elif kind == "probe":
                self._prober.fire(key, now)
            elif kind == "errand":
                self._errands.fire(key, now)
            else:
                self._errands.lapse(key)
        else:
            self._prober.end_suspicion(key, now)

    def _tick(self, now: float) -> None:
        self._parts.timers.schedule(_TICK, now + self._prober.period_s)
        if self._parts.own.departure is not None:
            return
        target = self._parts.roster.rings.next_target()
        member = None if target is None else self._parts.roster.find_up(target)
        if member is not None:
            self._prober.probe(member, now)
        self._rounds.tick(now)
        self._anti_entropy.tick(now)
        if self._rounds.take_tidy(now):
            self._errands.tidy(now)

    def _probe_or_answer(self, member: SwimMember, message: Ping | Pong | PingRequest | PingReport, now: float) -> None:
        sender = member.descriptor.node_id
        if isinstance(message, Pong):
            if self._prober.receive_pong(sender, message, now) or self._errands.receive_pong(sender, message):
                self._answered(member, now)
        elif isinstance(message, Ping):
            self._errands.answer(member, message, now)
        elif isinstance(message, PingRequest):
            self._errands.take(member, message, now)
        else:
            self._prober.receive_report(sender, message, now)

    def _compare(self, member: SwimMember, message: SyncDigests | SyncListing | SyncWanted | SyncFacts, now: float) -> None:
        if isinstance(message, SyncDigests):
            self._anti_entropy.compare(member, message, now)
        elif isinstance(message, SyncListing):
            self._anti_entropy.read(member, message, now)
        elif isinstance(message, SyncWanted):
            self._anti_entropy.give(member, message)

    def _hear(self, fact: Fact, sender: NodeId, now: float, *, spread: bool) -> None:
        if isinstance(fact, Accusation):
            suspect = self._judge.hear(fact, sender, now)
            if suspect is not None and fact.subject in self._parts.links:
                self._prober.probe(suspect, now)  # the link is there: look at once, and confirm or contradict
        elif isinstance(fact, Alive):
            self._hearsay.hear_alive(fact.descriptor, sender, now, spread=spread)
        else:
            self._hearsay.hear_departure(fact, sender, now)

    def _answered(self, member: SwimMember, now: float) -> None:
        if member.state is not MemberState.LEFT:
            self._prober.answered(member.descriptor.node_id, now)
            self._judge.answered(member, now)

    def _contest(self, descriptor: NodeDescriptor, now: float) -> None:
        """Somebody else proved a member's name: this node looks at once whether the one it knows is still there."""
        member = self._judge.contest(descriptor, now)
        if member is not None:
            self._prober.probe_contested(member, now)


def _make_shuffle(draw: DrawBelow) -> Callable[[list[NodeId]], None]:
    def shuffle(names: list[NodeId]) -> None:
        for last in range(len(names) - 1, 0, -1):
            other = draw(last + 1)
            names[last], names[other] = names[other], names[last]

    return shuffle
