"""What the machine wants done, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hermes_core.ids import NodeId
from hermes_core.mesh.lies import LiarNamed
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.messages import SwimMessage


class Cause(StrEnum):
    """Why a member stands otherwise than before."""

    NEW = "was not known"
    SILENT = "answered neither this node nor its helpers"
    ACCUSED = "another member accused it"
    ANSWERED = "answered this node"
    CONTRADICTED = "signed a later incarnation"
    UNANSWERED = "answered none of the last probes of this node"
    DEPARTED = "said that it goes"


@dataclass(frozen=True, slots=True)
class StandingChanged:
    """A member is alive, suspect, dead or gone from now on; `before` is None when it was not known.

    `accuser`: who signed the accusation that made it suspect.
    """

    node_id: NodeId
    before: MemberState | None
    after: MemberState
    cause: Cause
    accuser: NodeId | None = None


@dataclass(frozen=True, slots=True)
class DescriptorHeard:
    """What a member signed of itself is new, or another than what was known."""

    descriptor: NodeDescriptor


@dataclass(frozen=True, slots=True)
class MemberForgotten:
    node_id: NodeId


@dataclass(frozen=True, slots=True)
class OwnIncarnationRaised:
    """This node contradicted an accusation."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class ReservationWanted:
    """The keystore should hold that incarnations up to this one may be in use."""

    up_to: int


@dataclass(frozen=True, slots=True)
class OwnFutureSeen:
    """This node signed a higher incarnation than it knows of, `known`: its keystore was put back."""

    incarnation: int
    known: int


@dataclass(frozen=True, slots=True)
class NameContested:
    """Another key bears the name of a member whose own key still answers; refused."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class KeyReplaced:
    """A member has another key, by a link of this node's own, after the former one fell silent. `renewed`: which signed it."""

    node_id: NodeId
    renewed: bool = False


SwimEvent = (
    StandingChanged
    | DescriptorHeard
    | MemberForgotten
    | OwnIncarnationRaised
    | ReservationWanted
    | OwnFutureSeen
    | NameContested
    | KeyReplaced
    | LiarNamed
)


class ProbeResult(StrEnum):
    """INDIRECT: it answered helpers, and not this node."""

    DIRECT = "direct"
    INDIRECT = "indirect"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """A probe of this node's own. `seconds`: from its ping, and the dial that it waited for, until now.

    `helper`: who brought the answer, where the member answered none but helpers.
    """

    node_id: NodeId
    result: ProbeResult
    seconds: float
    helper: NodeId | None = None


@dataclass(frozen=True, slots=True)
class ToMember:
    """Over the link that stands to this member."""

    node_id: NodeId
    message: SwimMessage


@dataclass(slots=True)
class SwimOutput:
    """`dials`: whom to link with; each ends in `link_up` or `dial_failed`. `hangups`: whose link to end after what was sent.

    `probes`: for whoever counts, and whoever looks for a way; what follows from them here is done.
    """

    sends: list[ToMember] = field(default_factory=list)
    dials: list[NodeDescriptor] = field(default_factory=list)
    hangups: list[NodeId] = field(default_factory=list)
    events: list[SwimEvent] = field(default_factory=list)
    probes: list[ProbeEnded] = field(default_factory=list)


class Outlet:
    """The owner of the output under way; every part of the machine writes to it."""

    __slots__ = ("_output",)

    def __init__(self) -> None:
        self._output = SwimOutput()

    def send(self, node_id: NodeId, message: SwimMessage) -> None:
        self._output.sends.append(ToMember(node_id, message))

    def dial(self, descriptor: NodeDescriptor) -> None:
        self._output.dials.append(descriptor)

    def hang_up(self, node_id: NodeId) -> None:
        self._output.hangups.append(node_id)

    def report(self, event: SwimEvent) -> None:
        self._output.events.append(event)

    def report_probe(self, probe: ProbeEnded) -> None:
        self._output.probes.append(probe)

    def take(self) -> SwimOutput:
        output, self._output = self._output, SwimOutput()
        return output
