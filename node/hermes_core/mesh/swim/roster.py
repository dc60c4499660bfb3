"""The members that this node knows, and what follows from their standing alone: sums, rings, how many are up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.digests import Digests
from hermes_core.mesh.swim.messages import Accusation, SignedDeparture
from hermes_core.mesh.swim.output import Cause, DescriptorHeard, MemberForgotten, Outlet, StandingChanged
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.rings import ProbeRings

UP = (MemberState.ALIVE, MemberState.SUSPECT)


class SwimMember:
    """One other member. Times are this node's clock, in seconds.

    `contested`: since it last answered this node, somebody else proved its name with another key.
    """

    __slots__ = ("accusations", "changed_at", "contested", "departure", "descriptor", "state", "up_since")

    def __init__(self, descriptor: NodeDescriptor, now: float) -> None:
        self.descriptor = descriptor
        self.state = MemberState.ALIVE
        self.changed_at = self.up_since = now
        self.contested = False
        self.accusations: tuple[Accusation, ...] = ()
        self.departure: SignedDeparture | None = None

    @property
    def is_up(self) -> bool:
        return self.state in UP

    def describe(self, descriptor: NodeDescriptor) -> None:
        self.descriptor = descriptor
        self.accusations = ()

    def turn(self, state: MemberState, now: float) -> None:
        if state in UP and not self.is_up:
            self.up_since = now
        self.state = state
        self.changed_at = now

    def bury(self, accusations: tuple[Accusation, ...]) -> None:
        """What it has to contradict, should it come back."""
        self.accusations = accusations

    def contest(self) -> None:
        self.contested = True

    def answer(self) -> None:
        self.contested = False

    def depart(self, departure: SignedDeparture) -> None:
        self.departure = departure


class Roster:
    """The owner of all members but this one."""

    __slots__ = ("_digests", "_members", "_outlet", "_own", "_params", "_rings", "_up")

    def __init__(self, own: NodeId, params: SwimParams, outlet: Outlet, shuffle: Callable[[list[NodeId]], None]) -> None:
        self._own = own
        self._params = params
        self._outlet = outlet
        self._members: dict[NodeId, SwimMember] = {}
        self._digests = Digests()
        self._rings = ProbeRings(own, shuffle)
        self._up = 0

    @property
    def digests(self) -> Digests:
        return self._digests

    @property
    def rings(self) -> ProbeRings:
        return self._rings

    @property
    def size(self) -> int:
        """Members that are up, this one included."""
        return self._up + 1

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[SwimMember]:
        return iter(self._members.values())

    def get(self, node_id: NodeId) -> SwimMember | None:
        return self._members.get(node_id)

    def find_up(self, node_id: NodeId) -> SwimMember | None:
        member = self._members.get(node_id)
        return member if member is not None and member.is_up else None

    def has_room(self) -> bool:
        """For one more; the longest dead one makes room when there is none."""
        if len(self._members) < self._params.max_members:
            return True
        gone = [m for m in self._members.values() if not m.is_up]
        if gone:
            self.forget(min(gone, key=lambda m: m.changed_at).descriptor.node_id)
        return bool(gone)

    def admit(self, descriptor: NodeDescriptor, now: float) -> SwimMember:
        """A member that was not known, alive."""
        member = self._members[descriptor.node_id] = SwimMember(descriptor, now)
        self._come_up(descriptor)
        self._outlet.report(StandingChanged(descriptor.node_id, None, MemberState.ALIVE, Cause.NEW))
        self._outlet.report(DescriptorHeard(descriptor))
        return member

    def describe(self, member: SwimMember, descriptor: NodeDescriptor) -> None:
        """A newer descriptor, of the same name."""
        member.describe(descriptor)
        self._outlet.report(DescriptorHeard(descriptor))
        if member.is_up:
            self._digests.set(descriptor.node_id, descriptor.signature)

    def turn(self, member: SwimMember, state: MemberState, now: float, cause: Cause, *, accuser: NodeId | None = None) -> None:
        before, was_up, node_id = member.state, member.is_up, member.descriptor.node_id
        if before is state:
            return
        member.turn(state, now)
        if was_up and not member.is_up:
            self._go_down(node_id)
        elif member.is_up and not was_up:
            self._come_up(member.descriptor)
        self._outlet.report(StandingChanged(node_id, before, state, cause, accuser))

    def forget(self, node_id: NodeId) -> None:
        member = self._members.pop(node_id)
        if member.is_up:
            self._go_down(node_id)
        self._outlet.report(MemberForgotten(node_id))

    def list_overdue(self, now: float) -> list[NodeId]:
        """Those that are dead or gone for so long that they are to be forgotten."""
        long_ago = now - self._params.evict_after_s
        return [node_id for node_id, m in self._members.items() if not m.is_up and m.changed_at <= long_ago]

    def _come_up(self, descriptor: NodeDescriptor) -> None:
        self._up += 1
        self._digests.set(descriptor.node_id, descriptor.signature)
        self._rings.add(descriptor.node_id)

    def _go_down(self, node_id: NodeId) -> None:
        self._up -= 1
        self._digests.set(node_id, None)
        self._rings.remove(node_id, (other for other, m in self._members.items() if m.is_up))
