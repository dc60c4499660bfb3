"""A mark: what a node signs of where its keystore stands, for whoever remembers it to hand it back.

signed = label ‖ node key(32) ‖ open id(16) ‖ u64(generation) ‖ u64(commit counter)
mark   = node key(32) ‖ open id(16) ‖ u64(generation) ‖ u64(commit counter) ‖ signature(64)
"""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.signing import SIGNATURE_BYTES, Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import PUBLIC_KEY_BYTES
from hermes_core.keystore import labels
from hermes_core.keystore.state import KeystoreMark
from hermes_core.values import dataclass

OPEN_ID_BYTES: Final = 16
_BODY: Final = struct.Struct(f">{PUBLIC_KEY_BYTES}s{OPEN_ID_BYTES}sQQ")
MAX_COUNTER: Final = 2**63 - 1
MARK_BYTES: Final = _BODY.size + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Mark:
    """`node_key`: 32 bytes; `open_id`: 16 bytes, random at each opening; `signature`: 64 bytes, checked by `verify_mark`."""

    node_key: bytes
    open_id: bytes
    generation: int
    commit_counter: int
    signature: bytes


def sign_mark(identity: Identity, open_id: bytes, standing: KeystoreMark) -> Mark:
    """A mark of what is durable: who gets it may prove by it that the keystore came that far."""
    body = _BODY.pack(identity.public_key, open_id, standing.generation, standing.commit_counter)
    signature = identity.sign(labels.MARK + body)
    return Mark(identity.public_key, open_id, standing.generation, standing.commit_counter, signature)


def encode_mark(mark: Mark) -> bytes:
    """128 bytes."""
    return _BODY.pack(mark.node_key, mark.open_id, mark.generation, mark.commit_counter) + mark.signature


def parse_mark(data: bytes) -> Mark:
    """An authentic mark. INVALID_FRAME for a wrong length, INVALID_KEY or AUTH_FAILED when its node did not sign it."""
    mark = read_mark(data)
    verify_mark(mark)
    return mark


def read_mark(data: bytes) -> Mark:
    """What a mark says, whoever made it: nobody may act on it before `verify_mark`. INVALID_FRAME when it is none."""
    if len(data) != MARK_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"a mark has {MARK_BYTES} bytes")
    body, signature = data[: _BODY.size], data[_BODY.size :]
    node_key, open_id, generation, commit_counter = _BODY.unpack(body)
    if max(generation, commit_counter) > MAX_COUNTER:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "a mark's numbers are at most 2^63 - 1")
    return Mark(node_key, open_id, generation, commit_counter, signature)


def verify_mark(mark: Mark) -> None:
    """INVALID_KEY or AUTH_FAILED unless the node that it names signed it."""
    verify_signature(mark.node_key, labels.MARK + encode_mark(mark)[: _BODY.size], mark.signature)
