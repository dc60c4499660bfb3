"""How far the two apps have come in agreeing on keys: the first handshake, then rekeys. A state holds what only it needs.

Starting ───────────────── agree ──────────────────┐      ┌──── wish ────► Wanted ◄─── retry ─── Paused
Offered ─── accept ───► Accepted ───── agree ──────┴► Active               │    ▲                  ▲ │
                                                          ▲          offer │    │ yield      pause │ │ offer
                                                          │                ▼    │                  │ ▼
                                                          └─ drop ────── Offering ─────────────────┘
agree leads from every state of a rekey to Active: new keys are new keys, whoever offered them. So does drop, once nobody wants
them any more.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final

from hermes_core.endpoint.channels import OfferedPair
from hermes_core.values import dataclass


class RekeyWish(IntEnum):
    """Who wants a rekey that has not come through yet."""

    NOBODY = 0  # the owner has withdrawn its wish: an offer that has left may come through, and is not made again
    OWNER = 1  # the app: a refusal is reported and ends the wish
    NODE = 2  # REKEY_REQUIRED or ROLLBACK_DETECTED: tried until it succeeds


@dataclass(frozen=True, slots=True)
class Starting:
    """Our first offer is under way."""

    since: float


@dataclass(frozen=True, slots=True)
class Offered:
    """The other app offered; nothing is answered, and nothing secret made, before our owner has decided."""

    offered: OfferedPair
    since: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """We answered, and wait for the confirmation."""

    since: float


@dataclass(frozen=True, slots=True)
class Active:
    """Keys are agreed on, and nobody wants others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rekey waits for a way through. `pause_s`: how long the last pause was, 0 before the first."""

    wish: RekeyWish
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Offering:
    """Our offer of a rekey is under way."""

    wish: RekeyWish
    pause_s: float
    since: float


@dataclass(frozen=True, slots=True)
class Paused:
    """An offer came to nothing, and is repeated after a while."""

    wish: RekeyWish
    pause_s: float
    until: float


AgreementState = Starting | Offered | Accepted | Active | Wanted | Offering | Paused
Rekeying = Wanted | Offering | Paused
ACTIVE: Final[frozenset[type[AgreementState]]] = frozenset({Active, Wanted, Offering, Paused})
"""Those in which keys are agreed on."""


class AgreementStep(Enum):
    """What happens on the way to new keys."""

    ACCEPT = auto()  # the owner takes the offered chat
    AGREE = auto()  # the end-to-end channel uses a new epoch
    WISH = auto()  # somebody wants new keys
    OFFER = auto()  # our offer leaves
    YIELD = auto()  # it is void: the stream is gone
    PAUSE = auto()  # it came to nothing, or the other app's stands, and is to be repeated
    DROP = auto()  # it came to nothing, and that is the end of it; or nobody wants it any more
    RETRY = auto()  # the pause is over


STEPS: Final[dict[tuple[type[AgreementState], AgreementStep], type[AgreementState]]] = {
    (Starting, AgreementStep.AGREE): Active,
    (Offered, AgreementStep.ACCEPT): Accepted,
    (Accepted, AgreementStep.AGREE): Active,
    (Active, AgreementStep.AGREE): Active,
    (Active, AgreementStep.WISH): Wanted,
    (Wanted, AgreementStep.AGREE): Active,
    (Wanted, AgreementStep.WISH): Wanted,
    (Wanted, AgreementStep.OFFER): Offering,
    (Wanted, AgreementStep.DROP): Active,
    (Offering, AgreementStep.AGREE): Active,
    (Offering, AgreementStep.WISH): Offering,
    (Offering, AgreementStep.YIELD): Wanted,
    (Offering, AgreementStep.PAUSE): Paused,
    (Offering, AgreementStep.DROP): Active,
    (Paused, AgreementStep.AGREE): Active,
    (Paused, AgreementStep.WISH): Paused,
    (Paused, AgreementStep.OFFER): Offering,
    (Paused, AgreementStep.DROP): Active,
    (Paused, AgreementStep.RETRY): Wanted,
}
"""A pair that is not here means nothing and changes nothing."""
