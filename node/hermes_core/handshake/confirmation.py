"""Key confirmation: each side proves that it derived the same epoch before anything is sent under it."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8
from hermes_core.crypto.hashing import HashId, compute_tag, equal_tags
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import Role


def compute_confirm(hash_id: HashId, mac: SecretBytes, role: Role, transcript_hash: bytes) -> bytes:
    """The tag of the side with `role`: 32 or 64 bytes."""
    return compute_tag(hash_id, mac, lp(labels.CONFIRM) + u8(role) + transcript_hash)


def check_confirm(hash_id: HashId, mac: SecretBytes, role: Role, transcript_hash: bytes, tag: bytes) -> None:
    """KEY_MISMATCH unless `tag` is the one of the side with `role`."""
    if not equal_tags(compute_confirm(hash_id, mac, role, transcript_hash), tag):
        raise ProtocolError(ErrorCode.KEY_MISMATCH, "key confirmation failed")
