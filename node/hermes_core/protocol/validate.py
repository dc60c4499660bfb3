"""Length and range checks for every message from outside, before any cryptography (docs/reference/protocol.md, Bounds).

The wire layer builds a message from decoded fields and passes it to `validate_message`; nothing else may reach a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, assert_never

from hermes_core.crypto import x25519
from hermes_core.crypto.hashing import DIGEST_BYTES, HashId
from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES
from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.crypto.suites import MAX_SUITES as MAX_OFFERED_SUITES
from hermes_core.errors import MAX_DETAIL_CHARS, ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.renewal import check_length
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import (
    CHAT_ID_BYTES,
    MAX_EPOCH,
    MAX_ORDER,
    MAX_POSITION,
    PUBLIC_KEY_BYTES,
    ChannelKind,
    parse_app_id,
    parse_node_id,
    parse_node_party,
)
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    MoveAnswer,
    Moved,
    MoveOffer,
    Offer,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import ACK_PAYLOAD_BYTES
from hermes_core.protocol.session import (
    CHALLENGE_BYTES,
    MAX_SUITES,
    NONCE_BYTES,
    AppClaim,
    AppFound,
    Challenge,
    Connect,
    Connected,
    FindApp,
    Heartbeat,
    NewerHome,
    NodeChange,
    SeekHome,
    SessionMessage,
)
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import END_TAG_BYTES
from hermes_core.ratchet.header import MAX_FRAME_BYTES, OVERHEAD_BYTES
from hermes_core.ratchet.resume import MAX_CLAIMS

HASH_SIZES: Final = (32, 64)
"""Output of SHA-256 and SHA-512: transcript hashes, confirmation tags, resume tags."""
MIN_SEALED_BYTES: Final = OVERHEAD_BYTES[ChannelKind.LEG] + ACK_PAYLOAD_BYTES
MAX_SEALED_BYTES: Final = MAX_FRAME_BYTES[ChannelKind.LEG]
MAX_U8: Final = 2**8 - 1
MAX_U32: Final = 2**32 - 1
MAX_U64: Final = 2**64 - 1

_T = TypeVar("_T", ErrorCode, ErrorScope, CloseReason)


def require(condition: bool, what: str) -> None:
    """Raise INVALID_FRAME with `what` unless the condition holds."""
    if not condition:
        raise ProtocolError(ErrorCode.INVALID_FRAME, what)


def _require_length(data: bytes, length: int, what: str) -> None:
    if len(data) != length:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"{what} must be {length} bytes")


def _require_hash(data: bytes, what: str) -> None:
    if len(data) not in HASH_SIZES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"{what} must be 32 or 64 bytes")


def _require_range(value: int, low: int, high: int, what: str) -> None:
    if not low <= value <= high:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"{what} must be within {low} and {high}")


def _parse_enum(kind: type[_T], value: int, what: str) -> _T:
    try:
        return kind(value)
    except ValueError:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"unknown {what}") from None


def parse_error_code(value: int) -> ErrorCode:
    """Raise INVALID_FRAME for a number that names no error code."""
    return _parse_enum(ErrorCode, value, "error code")


def parse_error_scope(value: int) -> ErrorScope:
    """Raise INVALID_FRAME for a number that names no error scope."""
    return _parse_enum(ErrorScope, value, "error scope")


def parse_close_reason(value: int) -> CloseReason:
    """Raise INVALID_FRAME for a number that names no close reason."""
    return _parse_enum(CloseReason, value, "close reason")


def _validate_statement(statement: KeyStatement, max_suites: int, kem_bytes: int) -> None:
    """Which suites take a KEM is for the two ends of a channel: a node passes on what it does not know."""
    _require_range(statement.epoch, 1, MAX_EPOCH, "epoch")
    _require_range(statement.order, 1, MAX_ORDER, "order")
    _require_range(len(statement.suites), 1, max_suites, "number of suites")
    _require_length(statement.ephemeral, x25519.KEY_BYTES, "ephemeral")
    require(len(statement.kem) in (0, kem_bytes), f"kem must be empty or {kem_bytes} bytes")
    _require_length(statement.signature, SIGNATURE_BYTES, "signature")


def validate_offered(statement: KeyStatement) -> None:
    _validate_statement(statement, MAX_OFFERED_SUITES, ENCAPSULATION_KEY_BYTES)


def validate_answered(statement: KeyStatement) -> None:
    _validate_statement(statement, 1, CIPHERTEXT_BYTES)


def validate_claim(claim: EpochClaim) -> None:
    _require_range(claim.epoch, 1, MAX_EPOCH, "epoch")
    _require_range(claim.suite, 1, MAX_U8, "suite")
    _require_hash(claim.transcript_hash, "transcript_hash")
    _require_range(claim.send_next, 0, MAX_POSITION, "send_next")
    _require_range(claim.recv_next, 0, MAX_POSITION, "recv_next")
    _require_range(claim.recv_proven, 0, MAX_POSITION, "recv_proven")
    _require_range(claim.order, 0, MAX_ORDER, "order")
    _require_hash(claim.tag, "claim tag")


def validate_sealed(message: Sealed) -> None:
    _require_range(len(message.frame), MIN_SEALED_BYTES, MAX_SEALED_BYTES, "length of a sealed frame")


def validate_offer(message: Offer) -> None:
    _require_length(message.initiator_key, PUBLIC_KEY_BYTES, "initiator_key")
    parse_app_id(message.target)
    validate_offered(message.end_to_end)
    validate_offered(message.hop)


def validate_answer(message: Answer) -> None:
    _require_length(message.responder_key, PUBLIC_KEY_BYTES, "responder_key")
    validate_answered(message.end_to_end)
    _require_hash(message.end_to_end_confirm, "end_to_end_confirm")
    validate_answered(message.hop)
    _require_hash(message.hop_confirm, "hop_confirm")


def _validate_tag(epoch: int, tag: bytes, what: str) -> None:
    """One half of a confirmation: an epoch with its tag, or 0 and nothing when this half is absent."""
    if epoch == 0:
        _require_length(tag, 0, f"{what}_confirm of epoch 0")
        return
    _require_range(epoch, 1, MAX_EPOCH, f"{what}_epoch")
    _require_hash(tag, f"{what}_confirm")


def validate_confirm(message: Confirm) -> None:
    require(message.end_to_end_epoch != 0 or message.hop_epoch != 0, "a confirmation must confirm something")
    _validate_tag(message.end_to_end_epoch, message.end_to_end_confirm, "end_to_end")
    _validate_tag(message.hop_epoch, message.hop_confirm, "hop")


def validate_resume(message: Resume) -> None:
    _require_range(len(message.claims), 0, MAX_CLAIMS, "number of claims")
    for claim in message.claims:
        validate_claim(claim)


def validate_end(message: Closed | Delete) -> None:
    _require_range(len(message.proofs), 0, MAX_CLAIMS, "number of proofs")
    for proof in message.proofs:
        _require_range(proof.epoch, 1, MAX_EPOCH, "epoch")
        _require_length(proof.tag, END_TAG_BYTES, "tag of a delete")


def validate_error(message: ErrorNotice) -> None:
    require(len(message.detail) <= MAX_DETAIL_CHARS, f"detail must be at most {MAX_DETAIL_CHARS} characters")
    _require_range(message.retry_after_ms, 0, MAX_U32, "retry_after_ms")


def validate_reject(message: Reject) -> None:
    _require_range(message.retry_after_ms, 0, MAX_U32, "retry_after_ms")


def validate_move(move: SignedMove) -> None:
    _require_length(move.mover_key, PUBLIC_KEY_BYTES, "mover_key")
    parse_app_id(move.peer)
    parse_node_party(move.home)
    _require_range(move.number, 1, MAX_ORDER, "number of a move")
    _require_length(move.leg_hash, DIGEST_BYTES[HashId.SHA256], "leg_hash")
    _require_length(move.signature, SIGNATURE_BYTES, "signature of a move")


def validate_move_answer(message: MoveAnswer) -> None:
    _require_range(message.number, 1, MAX_ORDER, "number of a move")
    validate_answered(message.hop)
    _require_range(message.hop.epoch, 1, 1, "epoch of a moved hop")
    _require_hash(message.hop_confirm, "hop_confirm")


def validate_move_offer(message: MoveOffer) -> None:
    validate_move(message.move)
    validate_offered(message.hop)
    _require_range(message.hop.epoch, 1, 1, "epoch of a moved hop")


_VALIDATORS: Final[Mapping[type[ChatMessage], Callable[[Any], None]]] = {
    Sealed: validate_sealed,
    ErrorNotice: validate_error,
    Offer: validate_offer,
    Answer: validate_answer,
    Confirm: validate_confirm,
    Reject: validate_reject,
    Resume: validate_resume,
    Closed: validate_end,
    Delete: validate_end,
    MoveOffer: validate_move_offer,
    MoveAnswer: validate_move_answer,
    Moved: lambda message: validate_move(message.move),
}


def validate_message(message: ChatMessage) -> None:
    """Raise INVALID_FRAME unless every length and number of a chat message is within bounds."""
    validate = _VALIDATORS.get(type(message))  # of the others the only variable-length field is the chat id, checked below
    if validate is not None:
        validate(message)
    if not isinstance(message, Sealed) and message.chat_id is not None:  # an error may concern no chat
        _require_length(message.chat_id, CHAT_ID_BYTES, "chat_id")


def validate_hello(challenge: bytes, ephemeral: bytes, suites: bytes) -> None:
    """Raise INVALID_FRAME unless a node's half of a session's handshake is within bounds."""
    _require_length(challenge, CHALLENGE_BYTES, "challenge")
    _require_length(ephemeral, x25519.KEY_BYTES, "ephemeral")
    _require_range(len(suites), 1, MAX_SUITES, "number of suites")


def validate_app_claim(claim: AppClaim) -> None:
    """Raise INVALID_FRAME unless every length of an app's claim is within bounds."""
    _require_length(claim.app_key, PUBLIC_KEY_BYTES, "app_key")
    _require_length(claim.hello_hash, DIGEST_BYTES[HashId.SHA256], "hello_hash")
    _require_length(claim.signature, SIGNATURE_BYTES, "signature of a claim")


def _validate_home(message: NewerHome | SeekHome) -> None:
    parse_node_party(message.home)
    if isinstance(message, NewerHome):
        validate_app_claim(message.claim)


def _validate_look_up(message: FindApp | AppFound) -> None:
    parse_app_id(message.app_id)
    if isinstance(message, AppFound) and message.node_id is not None:
        parse_node_id(message.node_id)


def validate_session_message(message: SessionMessage) -> None:
    """Raise INVALID_FRAME unless every length and number of a session message is within bounds."""
    match message:
        case Challenge():
            parse_node_id(message.node_id)
            _require_length(message.node_key, PUBLIC_KEY_BYTES, "node_key")
            validate_hello(message.challenge, message.ephemeral, message.suites)
            check_length(message.renewals)
        case Connect():
            _require_length(message.app_key, PUBLIC_KEY_BYTES, "app_key")
            _require_length(message.nonce, NONCE_BYTES, "nonce")
            _require_length(message.ephemeral, x25519.KEY_BYTES, "ephemeral")
            _require_range(message.suite, 1, MAX_U8, "suite")
            _require_range(message.stamp, 0, MAX_U64, "stamp")
            _require_length(message.signature, SIGNATURE_BYTES, "signature")
        case Connected():
            parse_app_id(message.app_id)
            _require_range(message.heartbeat_interval_ms, 1, MAX_U32, "heartbeat_interval_ms")
            _require_range(message.max_frame_bytes, MIN_SEALED_BYTES, MAX_U32, "max_frame_bytes")
            _require_range(message.window_frames, 1, MAX_U32, "window_frames")
            _require_length(message.signature, SIGNATURE_BYTES, "signature")
        case NewerHome() | SeekHome():
            _validate_home(message)
        case FindApp() | AppFound():
            _validate_look_up(message)
        case NodeChange():
            _require_range(message.drain_after_ms, 0, MAX_U32, "drain_after_ms")
            _require_range(message.back_within_ms, 0, MAX_U32, "back_within_ms")
        case Heartbeat():
            _require_range(message.sequence, 0, MAX_U64, "sequence")
        case _:
            assert_never(message)
