"""The nonce of one direction of a stream, the same for every frame of a hop (docs/reference/protocol.md, Ratchet)."""

from __future__ import annotations

import hashlib

from hermes_core.crypto.aead import NONCE_BYTES
from hermes_core.crypto.encoding import lp
from hermes_core.crypto.labels import HOP_NONCE
from hermes_core.ids import Party


def derive_hop_nonce(binding: bytes, sender: Party) -> bytes:
    """The nonce of what `sender` sends on the stream with this session binding (32 bytes)."""
    return hashlib.sha256(lp(HOP_NONCE) + lp(binding) + lp(sender.encode())).digest()[:NONCE_BYTES]
