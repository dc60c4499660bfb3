"""Which error code counts where. Whether a handshake failed by our fault has to be said of every code: mypy sees to it."""

from __future__ import annotations

from typing import Final, assert_never

from hermes_core.errors import ErrorCode
from hermes_node.metrics.labels import HandshakeResult, RatchetFailure, ReplayKind, ResumeResult, ThrottleScope


def handshake_result(code: ErrorCode | None) -> HandshakeResult:
    """None: the chat is open. What an outsider can produce at will, or two people decide between them, must wake nobody."""
    match code:
        case None:
            return HandshakeResult.OK
        case (
            ErrorCode.KEY_MISMATCH
            | ErrorCode.ROUTE_UNAVAILABLE
            | ErrorCode.RATCHET_DESYNC
            | ErrorCode.RATCHET_FAILED
            | ErrorCode.ROLLBACK_DETECTED
            | ErrorCode.KEYSTORE_SEALED
            | ErrorCode.INTERNAL
        ):
            return HandshakeResult.FAILED
        case (
            ErrorCode.INVALID_FRAME
            | ErrorCode.AUTH_FAILED
            | ErrorCode.INVALID_KEY
            | ErrorCode.REPLAYED_KEY
            | ErrorCode.REPLAYED_FRAME
            | ErrorCode.KEY_VERSION_MISMATCH
            | ErrorCode.CHAT_NOT_FOUND
            | ErrorCode.CHAT_EXISTS
            | ErrorCode.CHAT_NOT_READY
            | ErrorCode.TARGET_NOT_FOUND
            | ErrorCode.TARGET_OFFLINE
            | ErrorCode.REKEY_REQUIRED
            | ErrorCode.REKEY_THROTTLED
            | ErrorCode.HANDSHAKE_THROTTLED
            | ErrorCode.BACKPRESSURE
            | ErrorCode.LIMIT_EXCEEDED
            | ErrorCode.DRAINING
            | ErrorCode.SESSION_REPLACED
            | ErrorCode.OFFER_OUTDATED
            | ErrorCode.UNSUPPORTED
            | ErrorCode.CLOCK_SKEW
            | ErrorCode.STAMP_OUTDATED
        ):
            return HandshakeResult.REFUSED
        case _:
            assert_never(code)


RESUME_REFUSALS: Final = {
    ErrorCode.RATCHET_DESYNC: ResumeResult.DESYNC,
    ErrorCode.ROLLBACK_DETECTED: ResumeResult.ROLLBACK,
    ErrorCode.CHAT_NOT_FOUND: ResumeResult.MISSING,
}
"""Any other code is REFUSED: a claim that proved nothing, and changed nothing."""

# What a refused message counts as besides an error; any other code: as nothing more.
REPLAYS: Final = {ErrorCode.REPLAYED_FRAME: ReplayKind.FRAME, ErrorCode.REPLAYED_KEY: ReplayKind.KEY}
RATCHET_FAILURES: Final = {
    ErrorCode.AUTH_FAILED: RatchetFailure.AUTHENTICATION,
    ErrorCode.RATCHET_DESYNC: RatchetFailure.DESYNC,
    ErrorCode.KEY_MISMATCH: RatchetFailure.KEY_MISMATCH,
    ErrorCode.RATCHET_FAILED: RatchetFailure.FAILED,
}
THROTTLES: Final = {
    ErrorCode.BACKPRESSURE: ThrottleScope.CHAT,
    ErrorCode.HANDSHAKE_THROTTLED: ThrottleScope.HANDSHAKE,
    ErrorCode.REKEY_THROTTLED: ThrottleScope.REKEY,
}
