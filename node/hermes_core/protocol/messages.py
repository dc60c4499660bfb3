"""The messages of docs/reference/protocol.md as frozen dataclasses; hermes_wire translates them to and from protobuf.

Lengths were checked when one of these exists: hermes_wire calls `hermes_core.protocol.validate` before building it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChatId
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.values import dataclass


class CloseReason(IntEnum):
    """Why a chat ended; numbers equal `hermes.v2.CloseReason`."""

    DELETED = 1
    DELETED_BY_PEER = 2
    EXPIRED = 3
    ROUTE_UNAVAILABLE = 4
    NODE_SHUTDOWN = 5
    RATCHET_FAILED = 6
    STATE_LOST = 7


DELETES: Final = frozenset({CloseReason.DELETED, CloseReason.DELETED_BY_PEER})
"""Whichever app it was, it proves it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A leg or tieline frame: header and ciphertext."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """StartChat, SetupTieline, ChatOffer; Rekey when `end_to_end.epoch` > 1."""

    chat_id: ChatId
    initiator_key: bytes
    target: AppId
    end_to_end: KeyStatement
    hop: KeyStatement


@dataclass(frozen=True, slots=True)
class Answer:
    """AcceptChat, TielineAccept, ChatAccepted."""

    chat_id: ChatId
    responder_key: bytes
    end_to_end: KeyStatement
    end_to_end_confirm: bytes
    hop: KeyStatement
    hop_confirm: bytes


@dataclass(frozen=True, slots=True)
class Confirm:
    """ChatConfirm: the initiator's tags. A half that is absent has epoch 0 and an empty tag.

    A hop's initiator confirms its hop as soon as it has checked the answer; the end-to-end half follows from the app.
    """

    chat_id: ChatId
    end_to_end_epoch: int
    end_to_end_confirm: bytes
    hop_epoch: int
    hop_confirm: bytes


@dataclass(frozen=True, slots=True)
class Reject:
    """`retry_after_ms`: as in ErrorNotice."""

    chat_id: ChatId
    code: ErrorCode
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """ResumeChat, ResumeAck, ResumeTieline: one claim for each epoch held, at most two."""

    chat_id: ChatId
    claims: tuple[EpochClaim, ...]


@dataclass(frozen=True, slots=True)
class PathState:
    chat_id: ChatId
    up: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """`proofs`: of the app that deleted the chat, at most two; nodes pass them on."""

    chat_id: ChatId
    reason: CloseReason
    proofs: tuple[EndProof, ...] = ()

    @property
    def final(self) -> bool:
        """Whether a chat with keys may end for it: a home that goes, or a delete that nobody proves, is a home that is lost."""
        if self.reason in DELETES:
            return bool(self.proofs)
        return self.reason not in {CloseReason.ROUTE_UNAVAILABLE, CloseReason.NODE_SHUTDOWN}


@dataclass(frozen=True, slots=True)
class ClosedAck:
    chat_id: ChatId
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Delete:
    """`failed`: the app cannot go on with the chat; the others hear of RATCHET_FAILED. `proofs`: its word of the end."""

    chat_id: ChatId
    failed: bool = False
    proofs: tuple[EndProof, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorNotice:
    code: ErrorCode
    scope: ErrorScope
    chat_id: ChatId | None
    detail: str
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class MoveOffer:
    """MoveChat, with the offer of the new leg, and MoveTieline, with that of a tieline to the other app's home. Of epoch 1."""

    chat_id: ChatId
    move: SignedMove
    hop: KeyStatement


@dataclass(frozen=True, slots=True)
class MoveAnswer:
    """MoveAccepted: answers the hop of the move with this number. A `Confirm` of the hop alone follows."""

    chat_id: ChatId
    number: int
    hop: KeyStatement
    hop_confirm: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """The highest move of an app's side of the chat that the sender knows; its receiver verifies it."""

    chat_id: ChatId
    move: SignedMove


@dataclass(frozen=True, slots=True)
class MoveWanted:
    """The chat's other app is looked for here, and nothing is known of it: move your side, or delete the chat."""

    chat_id: ChatId


ChatMessage = (
    Sealed
    | Offer
    | Answer
    | Confirm
    | Reject
    | Resume
    | PathState
    | Closed
    | ClosedAck
    | Delete
    | ErrorNotice
    | MoveOffer
    | MoveAnswer
    | Moved
    | MoveWanted
)
