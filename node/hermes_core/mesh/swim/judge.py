"""Who is suspected, and who is dead: by accusations that others signed, and in the end by this node's own probes alone."""

from __future__ import annotations

from hermes_core.ids import NodeId
from hermes_core.mesh.lies import Lie
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.messages import Accusation
from hermes_core.mesh.swim.output import Cause, OwnIncarnationRaised, ReservationWanted
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.roster import SwimMember
from hermes_core.mesh.swim.statements import encode_accusation, is_accusation
from hermes_core.mesh.swim.suspicions import Suspicion


class Judge:
    """Turns accusations and answers into standings."""

    __slots__ = ("_parts",)

    def __init__(self, parts: SwimParts) -> None:
        self._parts = parts

    def hear(self, said: Accusation, sender: NodeId, now: float) -> SwimMember | None:
        """What another one said of a third; its subject when it is suspected anew because of it."""
        parts, own = self._parts, self._parts.own.descriptor
        accuser = parts.roster.get(said.accuser)
        if (
            accuser is None
            or accuser.descriptor.node_key != said.accuser_key
            or accuser.state is MemberState.LEFT
            or not parts.accusers.allows(said.accuser)
        ):
            return None
        if said.subject == own.node_id:
            self._contradict(said, sender, now)
            return None
        subject = parts.roster.find_up(said.subject)
        if (
            subject is None
            or subject.descriptor.node_key != said.subject_key
            or subject.descriptor.incarnation != said.incarnation
            or parts.suspicions.was_heard(said)
            or not self._is_signed(said, sender, now)
        ):
            return None
        return self._suspect(subject, said, now)

    def accuse(self, member: SwimMember, now: float) -> None:
        """It answered neither this node nor its helpers."""
        parts, own, subject = self._parts, self._parts.own.descriptor, member.descriptor
        fields = (subject.node_id, subject.node_key, subject.incarnation, own.node_id, own.node_key, own.incarnation)
        said = Accusation(*fields, parts.signatures.sign(encode_accusation(*fields)))
        suspicion = parts.suspicions.get(subject.node_id)
        if member.is_up and not (suspicion and own.node_id in suspicion.accusers):
            self._suspect(member, said, now)

    def contest(self, descriptor: NodeDescriptor, now: float) -> SwimMember | None:
        """Somebody proved the name of a member with another key; that member, which stands for less long if it is suspected."""
        parts, node_id = self._parts, descriptor.node_id
        member = parts.roster.find_up(node_id)
        if member is None or parts.pins.is_retired(node_id, descriptor.node_key):
            return None
        member.contest()
        suspicion = parts.suspicions.get(node_id)
        if suspicion is not None and not suspicion.contested:
            suspicion.contest()
            self._schedule(member, suspicion, now)
        return member

    def answered(self, member: SwimMember, now: float) -> None:
        """It answered this node itself, which outweighs what everybody says."""
        parts, node_id = self._parts, member.descriptor.node_id
        member.answer()
        if member.state is MemberState.DEAD:
            parts.roster.turn(member, MemberState.ALIVE, now, Cause.ANSWERED)
        elif member.state is MemberState.SUSPECT:
            suspicion = parts.suspicions.cancel(node_id)
            for said in suspicion.accusations if suspicion else ():
                parts.accusers.end(said.accuser, node_id)
                self._blame(said, now)
            parts.roster.turn(member, MemberState.ALIVE, now, Cause.ANSWERED)

    def bury(self, member: SwimMember, now: float) -> None:
        """Its suspicion ran out, and since then it answered no probe of this node's own, direct or through others."""
        suspicion = self.acquit(member.descriptor.node_id)
        member.bury(suspicion)
        self._parts.roster.turn(member, MemberState.DEAD, now, Cause.UNANSWERED)

    def acquit(self, node_id: NodeId) -> tuple[Accusation, ...]:
        """Nothing is open against it any more; what was."""
        suspicion = self._parts.suspicions.end(node_id)
        accusations = suspicion.accusations if suspicion else ()
        for said in accusations:
            self._parts.accusers.end(said.accuser, node_id)
        return accusations

    def _is_signed(self, said: Accusation, sender: NodeId, now: float) -> bool:
        if is_accusation(said, self._parts.signatures):
            return True
        self._parts.name_liar(sender, Lie.SIGNATURE, now)
        return False

    def _suspect(self, subject: SwimMember, said: Accusation, now: float) -> SwimMember | None:
        parts = self._parts
        before = parts.suspicions.get(said.subject)
        suspicion = parts.suspicions.begin(said.subject, said.incarnation, now)
        is_own = said.accuser == parts.own.descriptor.node_id
        pinned = is_own or parts.pins.holds(said.accuser, said.accuser_key)
        suspicion.add(said, pinned=pinned)
        parts.accusers.begin(said.accuser, said.subject)
        cause = Cause.SILENT if is_own else Cause.ACCUSED
        parts.roster.turn(subject, MemberState.SUSPECT, now, cause, accuser=said.accuser)
        if subject.contested:
            suspicion.contest()
        self._schedule(subject, suspicion, now)
        if len(suspicion.accusations) <= parts.params.confirmations + 1:
            parts.news.tell(said)
        return None if before else subject

    def _schedule(self, subject: SwimMember, suspicion: Suspicion, now: float) -> None:
        deadline = suspicion.deadline(self._parts.params, self._parts.roster.size)
        self._parts.timers.schedule(("suspicion", subject.descriptor.node_id), max(now, deadline))

    def _contradict(self, said: Accusation, sender: NodeId, now: float) -> None:
        """An accusation of this node at its current incarnation: it lives, and says so with the next one."""
        parts, own = self._parts, self._parts.own
        current = own.descriptor
        if (
            said.subject_key != current.node_key
            or said.incarnation != current.incarnation
            or not self._is_signed(said, sender, now)
        ):
            return
        if parts.health.factor == 1:
            self._blame(said, now)
        raised = own.raise_above(current.incarnation)
        parts.health.change(+1)
        if raised:
            parts.announce()
            parts.outlet.report(OwnIncarnationRaised(own.descriptor.incarnation))
        wanted = own.wanted_reservation()
        if wanted is not None:
            parts.outlet.report(ReservationWanted(wanted))

    def _blame(self, said: Accusation, now: float) -> None:
        """Unless its accuser came up here too short a time ago to know better."""
        accuser = self._parts.roster.find_up(said.accuser)
        if accuser is None or now - accuser.up_since < self._parts.params.blame_s:
            return
        if self._parts.accusers.contradict(said.accuser, said.subject, said.incarnation, now):
            self._parts.name_liar(said.accuser, Lie.ACCUSATIONS, now)
