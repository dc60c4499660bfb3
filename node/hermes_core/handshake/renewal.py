"""A renewal: a node's former identity key and its new one both sign that the new one takes the former's place.

signed   = lp("hermes/v2 renewal") ‖ lp(node id) ‖ former key(32) ‖ new key(32)
renewal  = former key(32) ‖ new key(32) ‖ signature of the former key(64) ‖ signature of the new key(64)
renewals = at most 4 of them, each going on from the key where the one before ended

It moves nothing by itself: an app that learns of it moves its chats to the new party, which proves its key in the session. The
former key alone makes none, and neither does the new one.
"""

from __future__ import annotations

from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp
from hermes_core.crypto.signing import SIGNATURE_BYTES, Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import PUBLIC_KEY_BYTES, NodeId

RENEWAL_BYTES: Final = 2 * PUBLIC_KEY_BYTES + 2 * SIGNATURE_BYTES
MAX_RENEWALS: Final = 4
"""Who has not met the node since more of them takes it for another one."""

_KEYS: Final = 2 * PUBLIC_KEY_BYTES


def build_renewal(former: Identity, new: Identity, node_id: NodeId) -> bytes:
    """192 bytes."""
    said = _encode(node_id, former.public_key, new.public_key)
    return former.public_key + new.public_key + former.sign(said) + new.sign(said)


def append_renewal(renewals: bytes, renewal: bytes) -> bytes:
    """Those that are kept: the newest."""
    return (renewals + renewal)[-MAX_RENEWALS * RENEWAL_BYTES :]


def check_length(renewals: bytes) -> None:
    """INVALID_FRAME unless they can be renewals; whether they are is not looked at."""
    if len(renewals) % RENEWAL_BYTES or len(renewals) > MAX_RENEWALS * RENEWAL_BYTES:
        raise ProtocolError(
            ErrorCode.INVALID_FRAME, f"renewals have {RENEWAL_BYTES} bytes each, and are at most {MAX_RENEWALS}"
        )


def verify_renewals(renewals: bytes, node_id: NodeId, node_key: bytes) -> frozenset[bytes]:
    """The former keys (32 bytes each) of the node that has `node_key` now.

    INVALID_FRAME for a wrong length; AUTH_FAILED or INVALID_KEY unless they lead to `node_key` without a gap, each signed by
    both of its keys.
    """
    check_length(renewals)
    former: list[bytes] = []
    for at in range(0, len(renewals), RENEWAL_BYTES):
        before, after, by_former, by_new = _split(renewals[at : at + RENEWAL_BYTES])
        if former and before != renewals[at - RENEWAL_BYTES + PUBLIC_KEY_BYTES : at - RENEWAL_BYTES + _KEYS]:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "a renewal does not go on from the one before")
        said = _encode(node_id, before, after)
        verify_signature(before, said, by_former)
        verify_signature(after, said, by_new)
        former.append(before)
    if former and renewals[-RENEWAL_BYTES:][PUBLIC_KEY_BYTES:_KEYS] != node_key:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "the renewals are another key's")
    if node_key in former:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "a renewed key never comes back")
    return frozenset(former)


def list_former_keys(renewals: bytes) -> tuple[bytes, ...]:
    """Of renewals that were verified; the oldest first."""
    return tuple(renewals[at : at + PUBLIC_KEY_BYTES] for at in range(0, len(renewals), RENEWAL_BYTES))


def _encode(node_id: NodeId, former_key: bytes, new_key: bytes) -> bytes:
    return lp(labels.RENEWAL) + lp(node_id.encode()) + former_key + new_key


def _split(renewal: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    keys, signatures = renewal[:_KEYS], renewal[_KEYS:]
    return (
        keys[:PUBLIC_KEY_BYTES],
        keys[PUBLIC_KEY_BYTES:],
        signatures[:SIGNATURE_BYTES],
        signatures[SIGNATURE_BYTES:],
    )
