"""What is believed of members' own words, whoever brought them; and who is met by a link of this node's own."""

from __future__ import annotations

from hermes_core.handshake.renewal import list_former_keys
from hermes_core.ids import NodeId
from hermes_core.mesh.lies import Lie
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.judge import Judge
from hermes_core.mesh.swim.messages import Alive, SignedDeparture
from hermes_core.mesh.swim.output import (
    Cause,
    KeyReplaced,
    NameContested,
    OwnFutureSeen,
    OwnIncarnationRaised,
    ReservationWanted,
)
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.roster import SwimMember
from hermes_core.mesh.swim.rumours import Rumour
from hermes_core.mesh.swim.statements import is_departure, is_own_word

_CHECK_PERIODS = (1.0, 5.0)
"""After which time a new name is checked: mostly a second member vouches for it before."""


class Hearsay:
    """Turns descriptors and departures into members."""

    __slots__ = ("_judge", "_parts")

    def __init__(self, parts: SwimParts, judge: Judge) -> None:
        self._parts = parts
        self._judge = judge

    def hear_alive(self, descriptor: NodeDescriptor, sender: NodeId, now: float, *, spread: bool) -> None:
        """`spread`: it is news to others as well, and was not handed over with the whole list."""
        member = self._parts.roster.get(descriptor.node_id)
        if descriptor.node_id == self._parts.own.descriptor.node_id:
            self._hear_of_self(descriptor)
        elif member is None:
            self._hear_of_stranger(descriptor, sender, now, spread=spread)
        elif member.descriptor.node_key == descriptor.node_key:
            self._hear_of_member(member, descriptor, sender, now, spread=spread)
        elif not self._parts.pins.is_retired(descriptor.node_id, descriptor.node_key):
            check_at = now + self._parts.draw_time(0.0, self._parts.params.spread_s)
            self._hold(descriptor, sender, now, check_at)

    def hear_departure(self, said: SignedDeparture, sender: NodeId, now: float) -> None:
        parts = self._parts
        member = parts.roster.get(said.subject)
        if member is None or member.descriptor.node_key != said.subject_key or member.state is MemberState.LEFT:
            return
        if said.incarnation < member.descriptor.incarnation:
            return
        if not is_departure(said, parts.signatures):
            parts.name_liar(sender, Lie.SIGNATURE, now)
            return
        self._judge.acquit(said.subject)
        member.depart(said)
        parts.roster.turn(member, MemberState.LEFT, now, Cause.DEPARTED)
        parts.news.tell(said)

    def vouch(self, node_id: NodeId, mark: bytes, sender: NodeId, now: float) -> bool:
        """Whether a second member says the same of a name that one brought: it is a member from now on."""
        rumour = self._parts.rumours.get(node_id)
        if rumour is None or rumour.sender == sender or not rumour.descriptor.signature.startswith(mark):
            return False
        if self._parts.roster.get(node_id) is not None or not self._parts.roster.has_room():
            return False  # another key is checked by a link, whoever else vouches for it
        self._parts.rumours.drop(node_id)
        self._parts.roster.admit(rumour.descriptor, now)
        return True

    def meet(self, descriptor: NodeDescriptor, now: float) -> SwimMember | None:
        """A link stands, whose other end proved name and key just now; None when it may not bear that name."""
        parts, node_id = self._parts, descriptor.node_id
        rumour = parts.rumours.drop(node_id)
        member = parts.roster.get(node_id)
        if not self.admits(descriptor):
            return None
        if member is None and not parts.roster.has_room():
            return None
        if self._is_foreign(descriptor):
            parts.outlet.report(KeyReplaced(node_id, self._is_renewed(descriptor)))
        parts.pins.pin(node_id, descriptor.node_key, list_former_keys(descriptor.renewals))
        if member is None:
            member = parts.roster.admit(descriptor, now)
            parts.news.tell(Alive(descriptor))
        elif member.descriptor.node_key != descriptor.node_key or descriptor.incarnation > member.descriptor.incarnation:
            self._renew(member, descriptor, now, spread=True)
        elif descriptor.renewals != member.descriptor.renewals:
            parts.roster.describe(member, descriptor)  # the signature does not cover them: whoever passed it on took them out
        elif rumour is not None:
            parts.news.tell(Alive(member.descriptor))
        return member

    def admits(self, descriptor: NodeDescriptor) -> bool:
        """Whether a key that was proved just now may bear its name; reported when it may not."""
        parts, node_id = self._parts, descriptor.node_id
        taken = self._is_foreign(descriptor) and self._is_taken(parts.roster.get(node_id), descriptor)
        if not taken and node_id != parts.own.descriptor.node_id:
            return True
        if node_id in parts.links or not self._is_renewed(descriptor):
            parts.outlet.report(NameContested(node_id))
        return False

    def _is_foreign(self, descriptor: NodeDescriptor) -> bool:
        pinned = self._parts.pins.key_of(descriptor.node_id)
        return pinned is not None and pinned != descriptor.node_key

    def _is_renewed(self, descriptor: NodeDescriptor) -> bool:
        """The pinned key signed this one: a node renews its key while it does not run, or somebody has stolen it."""
        return self._parts.pins.key_of(descriptor.node_id) in list_former_keys(descriptor.renewals)

    def _is_taken(self, member: SwimMember | None, descriptor: NodeDescriptor) -> bool:
        """While the pinned key is not dead or gone here, and for good where this key was replaced before.

        A key that the pinned one signed waits for no burial: that this node's own probe failed is enough.
        """
        parts = self._parts
        if parts.pins.is_retired(descriptor.node_id, descriptor.node_key):
            return True
        if member is None or not member.is_up:
            return False
        suspicion = parts.suspicions.get(descriptor.node_id)
        silent = suspicion is not None and parts.own.descriptor.node_id in suspicion.accusers
        return not (silent and self._is_renewed(descriptor))

    def _hear_of_self(self, descriptor: NodeDescriptor) -> None:
        """Only a higher incarnation that this node's own key signed says something: it forgot it."""
        parts, own = self._parts, self._parts.own
        current = own.descriptor
        if descriptor.node_key != current.node_key or descriptor.incarnation <= current.incarnation:
            return
        if not is_own_word(descriptor, parts.signatures):
            return
        parts.outlet.report(OwnFutureSeen(descriptor.incarnation, current.incarnation))
        if own.raise_above(descriptor.incarnation):
            parts.announce()
            parts.outlet.report(OwnIncarnationRaised(own.descriptor.incarnation))
        wanted = own.wanted_reservation()
        if wanted is not None:
            parts.outlet.report(ReservationWanted(wanted))

    def _hear_of_member(
        self, member: SwimMember, descriptor: NodeDescriptor, sender: NodeId, now: float, *, spread: bool
    ) -> None:
        parts, known = self._parts, member.descriptor
        if descriptor.incarnation < known.incarnation:
            return
        if descriptor.incarnation == known.incarnation and descriptor.signature == known.signature:
            return
        if member.departure is not None and descriptor.incarnation <= member.departure.incarnation:
            return
        if not parts.updates.allows(known.node_id, now):
            return
        if not is_own_word(descriptor, parts.signatures):
            parts.name_liar(sender, Lie.SIGNATURE, now)
            return
        parts.updates.charge(known.node_id, now)
        if descriptor.incarnation > known.incarnation:
            self._renew(member, descriptor, now, spread=spread)
            return
        parts.name_liar(known.node_id, Lie.TWO_SELVES, now)
        if descriptor.signature > known.signature:  # everybody keeps the same one of the two
            parts.roster.describe(member, descriptor)
            parts.news.tell(Alive(descriptor))

    def _renew(self, member: SwimMember, descriptor: NodeDescriptor, now: float, *, spread: bool) -> None:
        self._judge.acquit(descriptor.node_id)
        self._parts.roster.describe(member, descriptor)
        self._parts.roster.turn(member, MemberState.ALIVE, now, Cause.CONTRADICTED)
        if spread:
            self._parts.news.tell(Alive(descriptor))
        else:
            self._parts.news.forget(descriptor.node_id)

    def _hear_of_stranger(self, descriptor: NodeDescriptor, sender: NodeId, now: float, *, spread: bool) -> None:
        parts, node_id = self._parts, descriptor.node_id
        if parts.pins.is_retired(node_id, descriptor.node_key):
            return
        if self.vouch(node_id, descriptor.signature, sender, now):
            if spread:
                parts.news.tell(Alive(descriptor))
            return
        least, most = _CHECK_PERIODS
        self._hold(descriptor, sender, now, now + parts.draw_time(least, most) * parts.params.period_s)

    def _hold(self, descriptor: NodeDescriptor, sender: NodeId, now: float, check_at: float) -> None:
        parts, held = self._parts, self._parts.rumours.get(descriptor.node_id)
        if held is not None and not (
            held.descriptor.node_key == descriptor.node_key and descriptor.incarnation > held.descriptor.incarnation
        ):
            return
        if not parts.rumours.allows(descriptor.node_id, sender, now):
            return
        if len(parts.rumours) >= parts.params.max_members:
            return
        if not is_own_word(descriptor, parts.signatures):
            parts.name_liar(sender, Lie.SIGNATURE, now)
            return
        parts.rumours.hold(Rumour(descriptor, sender, check_at))
