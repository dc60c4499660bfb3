"""What an end of a link tells its shell."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_front.link.faults import Fault
from hermes_front.link.payloads import FrontHello, FrontSettings, Stats, StreamOpening, Told
from hermes_h2.serving.tls_context import PemMaterial


@dataclass(frozen=True, slots=True)
class MessageCame:
    """Of a stream, and to be taken from what its reader holds by `taken`."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CreditCame:
    """Somebody waited for it: `may_send` says whether it is enough."""

    stream: int


@dataclass(frozen=True, slots=True)
class LinkBroken:
    """The other end broke a rule: nothing is understood or said any more."""

    fault: Fault


# What a front says.


@dataclass(frozen=True, slots=True)
class Greeted:
    """It is there, and what it says from now on belongs to its run."""

    hello: FrontHello


@dataclass(frozen=True, slots=True)
class StreamOpened:
    stream: int
    opening: StreamOpening


@dataclass(frozen=True, slots=True)
class PeerEnded:
    """The peer has said everything."""

    stream: int


@dataclass(frozen=True, slots=True)
class PeerGone:
    stream: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The last PING."""


@dataclass(frozen=True, slots=True)
class Counted:
    stats: Stats


@dataclass(frozen=True, slots=True)
class RefusalTold:
    told: Told


@dataclass(frozen=True, slots=True)
class DefectTold:
    """Something in it failed: the name of an exception; or of the system, in its words."""

    what: str
    of_system: bool


OwnerEvent = (
    MessageCame
    | CreditCame
    | LinkBroken
    | Greeted
    | StreamOpened
    | PeerEnded
    | PeerGone
    | PingAnswered
    | Counted
    | RefusalTold
    | DefectTold
)


# What an owner says.


@dataclass(frozen=True, slots=True)
class MaterialCame:
    material: PemMaterial


@dataclass(frozen=True, slots=True)
class SettingsCame:
    settings: FrontSettings


@dataclass(frozen=True, slots=True)
class Proved:
    """Its peer showed who it is."""

    stream: int


@dataclass(frozen=True, slots=True)
class Pardoned:
    """It asked for nothing that has to be proved."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The owner is done with a stream: behind everything that it said on it."""

    stream: int
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class WasReset:
    """The owner leaves a stream without a status, and with nothing that waits."""

    stream: int


@dataclass(frozen=True, slots=True)
class Draining:
    """No new connections and calls; those that stand have `grace_s`."""

    grace_s: float


StreamEvent = MessageCame | CreditCame | Proved | Pardoned | Ended | WasReset
FrontEvent = StreamEvent | LinkBroken | MaterialCame | SettingsCame | Draining
