"""Membership: heartbeats, suspicion and death by silence, as a sans-IO machine.

Every node links with every other, so what a node hears itself outranks hearsay: a member is declared suspect or dead only by
the silence this node observed. Hearsay only introduces members (their descriptors are signed) and raises incarnations; the name
of a member that is up it gives to no other key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor, verify_descriptor
from hermes_core.mesh.lies import LiarNamed, Lie
from hermes_core.mesh.messages import MemberClaim, MembershipUpdate, MemberState, NodeDescriptor
from hermes_core.mesh.params import MeshParams

MAX_FORMER_KEYS: Final = 64
"""Of one member. Nobody renews so often while others remember it; more would be memory that it has others keep for it."""

MAX_OUTBID: Final = 2**32
"""Incarnations at once. A number that anybody may name could lead to where none is left; a life has fewer."""


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """A node that was not known, or was dead or gone, is alive."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class MemberDescribed:
    """What a node signed of itself is new, or newer than what was known."""

    descriptor: NodeDescriptor


@dataclass(frozen=True, slots=True)
class MemberStateChanged:
    """`reason`, `accuser`: of SWIM, for the log."""

    node_id: NodeId
    before: MemberState
    after: MemberState
    reason: str = ""
    accuser: NodeId | None = None


@dataclass(frozen=True, slots=True)
class IdentityConflict:
    """Somebody claims a live member's name with another key, not renewed or while the former one answers; refused."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class IdentityRenewed:
    """A member has a new key, which its former one signed as well."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class IncarnationRaised:
    """This node refuted a claim that it is suspect or dead; the new incarnation must be stored."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class MemberEvicted:
    """A dead or left member was forgotten."""

    node_id: NodeId


MeshEvent = (
    MemberJoined
    | MemberDescribed
    | MemberStateChanged
    | MemberEvicted
    | IdentityConflict
    | IdentityRenewed
    | IncarnationRaised
    | LiarNamed
)


@dataclass(frozen=True, slots=True)
class ToNode:
    node_id: NodeId
    update: MembershipUpdate


@dataclass(slots=True)
class MeshOutput:
    sends: list[ToNode] = field(default_factory=list)
    events: list[MeshEvent] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """What this node holds of another one. Times are this node's clock, in seconds.

    `former_keys`: those that it renewed; nobody bears its name with one of them again, as long as it is remembered.
    `met`: it spoke to this node itself, so that it has a certificate of its name; the others may be made up.
    """

    descriptor: NodeDescriptor
    state: MemberState
    incarnation: int
    heard_at: float
    changed_at: float
    connected: bool = False
    former_keys: frozenset[bytes] = frozenset()
    met: bool = False


class Membership:
    """One node's view of the mesh. Feed it links, updates and time; take what to send and what happened."""

    def __init__(self, identity: Identity, descriptor: NodeDescriptor, params: MeshParams, now: float) -> None:
        self._identity = identity
        self._params = params
        self._descriptor = descriptor
        self._left = False
        self._members: dict[NodeId, Member] = {}
        self._next_heartbeat = now
        self._may_refute_at = now
        self._output = MeshOutput()

    @property
    def descriptor(self) -> NodeDescriptor:
        return self._descriptor

    @property
    def members(self) -> Mapping[NodeId, Member]:
        """Every other node known, also dead ones not evicted yet."""
        return self._members

    def count(self, state: MemberState) -> int:
        """Members in this state, this node included."""
        own = MemberState.LEFT if self._left else MemberState.ALIVE
        return sum(m.state is state for m in self._members.values()) + (own is state)

    def wanted_links(self) -> list[NodeDescriptor]:
        """Peers this node has to dial: alive or suspect, not linked, and with the higher id (the lower one dials)."""
        return [
            m.descriptor
            for m in self._members.values()
            if not m.connected
            and m.descriptor.node_id > self._descriptor.node_id
            and m.state in (MemberState.ALIVE, MemberState.SUSPECT)
        ]

    def link_up(self, descriptor: NodeDescriptor, now: float) -> None:
        """A gossip stream with this peer stands and its proof was verified; raise AUTH_FAILED on an identity conflict."""
        self._require_admitted(descriptor, now)
        member = self._members[descriptor.node_id]
        member.connected = True
        self._heard(member, now)
        self._send(member)

    def link_down(self, node_id: NodeId) -> None:
        member = self._members.get(node_id)
        if member is not None:
            member.connected = False

    def receive_heard(self, node_id: NodeId, now: float) -> None:
        """Anything authentic arrived from this peer."""
        member = self._members.get(node_id)
        if member is not None and member.state is not MemberState.LEFT:
            self._heard(member, now)

    def receive_update(self, sender: NodeId, update: MembershipUpdate, now: float) -> None:
        """Hearsay introduces members; states count only about the sender itself.

        AUTH_FAILED when the sender bears the name of a live member with another key: nothing that it says is a sign of life of
        that one, which could not be found dead otherwise while somebody with its name keeps knocking.
        """
        lied = False
        for claim in update.members:
            if claim.descriptor.node_id == self._descriptor.node_id:
                self._refute(claim, now)
            elif claim.descriptor.node_id == sender:
                self._require_admitted(claim.descriptor, now)
                if claim.state is MemberState.LEFT:
                    self._change(self._members[sender], MemberState.LEFT, now)
            elif claim.state in (MemberState.ALIVE, MemberState.SUSPECT):
                lied |= not self._introduce(claim.descriptor, now)
        if lied:
            self._output.events.append(LiarNamed(sender, Lie.SIGNATURE))
        self.receive_heard(sender, now)

    def leave(self) -> None:
        """Tell everybody that this node goes on purpose."""
        self._left = True
        for member in self._members.values():
            if member.connected:
                self._send(member)

    def next_timer(self) -> float:
        return self._next_heartbeat

    def handle_timer(self, now: float) -> None:
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + self._params.heartbeat_interval_s
        for node_id, member in list(self._members.items()):
            silence = now - member.heard_at
            if member.state in (MemberState.DEAD, MemberState.LEFT):
                if now - member.changed_at >= self._params.evict_after_s and not member.connected:
                    del self._members[node_id]
                    self._output.events.append(MemberEvicted(node_id))
                continue
            if silence >= self._params.dead_after_s:
                self._change(member, MemberState.DEAD, now)
            elif silence >= self._params.suspect_after_s:
                self._change(member, MemberState.SUSPECT, now)
            if member.connected:
                self._send(member)

    def take_output(self) -> MeshOutput:
        output, self._output = self._output, MeshOutput()
        return output

    def _introduce(self, descriptor: NodeDescriptor, now: float) -> bool:
        """A third party knows this node: remember it unless it is dead to us at that incarnation. False: nobody signed it."""
        known = self._members.get(descriptor.node_id)
        if known is not None and descriptor.incarnation <= known.descriptor.incarnation:
            return True
        if known is not None and descriptor.renewals and _is_up(known) and descriptor.node_key != known.descriptor.node_key:
            return True  # whoever stole its key signs renewals as well: it must come itself, with the certificate of its name
        try:
            self._admit(descriptor, now)
        except ProtocolError as error:
            # A forged one is simply not believed. Whoever passes it on has verified it, or lies.
            return error.code is ErrorCode.LIMIT_EXCEEDED
        return True

    def _require_admitted(self, descriptor: NodeDescriptor, now: float) -> None:
        if not self._admit(descriptor, now, met=True):
            raise ProtocolError(ErrorCode.AUTH_FAILED, "node id is in use with another identity key")

    def _admit(self, descriptor: NodeDescriptor, now: float, *, met: bool = False) -> bool:
        """Store a verified descriptor; False when the name belongs to a live member with another key, not renewed.

        Who comes itself takes the place of one that is known by hearsay alone, where there is no other.
        """
        known = self._members.get(descriptor.node_id)
        if known is not None and descriptor == known.descriptor:
            return True
        former_keys = verify_descriptor(descriptor)
        if known is None:
            if len(self._members) >= self._params.max_members and not (met and self._make_room()):
                raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "too many members")
            member = Member(descriptor, MemberState.ALIVE, descriptor.incarnation, heard_at=now, changed_at=now)
            member.former_keys = former_keys
            self._members[descriptor.node_id] = member
            self._output.events += [MemberJoined(descriptor.node_id), MemberDescribed(descriptor)]
            return True
        if not self._may_bear_name(known, descriptor.node_key, former_keys):
            self._output.events.append(IdentityConflict(descriptor.node_id))
            return False
        if descriptor.node_key != known.descriptor.node_key or descriptor.incarnation > known.incarnation:
            if known.descriptor.node_key in former_keys:
                self._output.events.append(IdentityRenewed(descriptor.node_id))
            known.descriptor, known.incarnation = descriptor, descriptor.incarnation
            known.heard_at = now
            self._output.events.append(MemberDescribed(descriptor))
            self._change(known, MemberState.ALIVE, now)
        elif descriptor.incarnation == known.descriptor.incarnation and not former_keys <= known.former_keys:
            known.descriptor = descriptor  # the signature does not cover renewals: whoever passed it on had taken them out
        known.former_keys |= former_keys
        return True

    def _make_room(self) -> bool:
        """Forget one that nobody but others ever heard of, a dead one first."""
        strange = [node_id for node_id, member in self._members.items() if not member.met]
        node_id = max(strange, key=lambda name: not _is_up(self._members[name]), default=None)
        if node_id is None:
            return False
        del self._members[node_id]
        self._output.events.append(MemberEvicted(node_id))
        return True

    def _may_bear_name(self, known: Member, node_key: bytes, former_keys: frozenset[bytes]) -> bool:
        if node_key in known.former_keys or len(known.former_keys | former_keys) > MAX_FORMER_KEYS:
            return False
        if node_key == known.descriptor.node_key:
            return True
        if known.descriptor.node_key in former_keys:
            return not (known.connected and known.state is MemberState.ALIVE)  # while it answers it was not renewed, but stolen
        return not _is_up(known)

    def _heard(self, member: Member, now: float) -> None:
        member.heard_at, member.met = now, True
        self._change(member, MemberState.ALIVE, now)

    def _change(self, member: Member, state: MemberState, now: float) -> None:
        if member.state is state:
            return
        before, member.state, member.changed_at = member.state, state, now
        node_id = member.descriptor.node_id
        self._output.events.append(MemberStateChanged(node_id, before, state))
        if before in (MemberState.DEAD, MemberState.LEFT) and state is MemberState.ALIVE:
            self._output.events.append(MemberJoined(node_id))

    def _refute(self, claim: MemberClaim, now: float) -> None:
        """Somebody holds us for suspect or dead, or knows a later incarnation of us: outbid it, once in a heartbeat.

        Whoever means it says it again. A liar could have us sign, store and spread a descriptor for each of its words.
        """
        mine = self._descriptor
        doubted = claim.state in (MemberState.SUSPECT, MemberState.DEAD) and claim.incarnation >= mine.incarnation
        outrun = claim.descriptor.node_key == mine.node_key and claim.incarnation > mine.incarnation
        if self._left or not (doubted or outrun):
            return
        if now < self._may_refute_at or claim.incarnation - mine.incarnation > MAX_OUTBID:
            return
        self._may_refute_at = now + self._params.heartbeat_interval_s
        incarnation = max(mine.incarnation, claim.incarnation) + 1
        self._descriptor = sign_descriptor(
            self._identity,
            node_id=mine.node_id,
            address=mine.address,
            incarnation=incarnation,
            version=mine.version,
            app_address=mine.app_address,
            renewals=mine.renewals,
        )
        self._output.events.append(IncarnationRaised(incarnation))

    def _send(self, member: Member) -> None:
        own_state = MemberState.LEFT if self._left else MemberState.ALIVE
        members = [MemberClaim(self._descriptor, own_state, self._descriptor.incarnation)]
        members += [MemberClaim(m.descriptor, m.state, m.incarnation) for m in self._members.values()]
        self._output.sends.append(ToNode(member.descriptor.node_id, MembershipUpdate(tuple(members))))


def _is_up(member: Member) -> bool:
    return member.state in (MemberState.ALIVE, MemberState.SUSPECT)
