"""The session binding: what ties resume claims to one stream (docs/reference/protocol.md, Connect and Resume)."""

from __future__ import annotations

import hashlib

from hermes_core.crypto.encoding import lp
from hermes_core.crypto.labels import SESSION


def derive_session_binding(first: bytes, second: bytes) -> bytes:
    """32 bytes, of challenge and nonce of a Connect; between nodes, of the dialer's challenge and the acceptor's."""
    return hashlib.sha256(lp(SESSION) + first + second).digest()
