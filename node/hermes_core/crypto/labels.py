"""Every domain-separation label of the wire protocol; docs/reference/protocol.md lists the same ones.

A label is never reused for a second purpose, and never changed: a new meaning gets a new label.
"""

from __future__ import annotations

from typing import Final

CONNECT: Final = b"hermes/v2 connect"
"""Signed by an app when it connects."""
CONNECTED: Final = b"hermes/v2 connected"
"""Signed by a node when it takes an app in."""
SESSION: Final = b"hermes/v2 session"
"""Begins what both ends of an app's stream say of themselves; its hash is the salt of every session's secret."""
SESSION_KEYS: Final = b"hermes/v2 session keys"
"""Expands a session's pseudorandom key into the keys of its stream."""
CONTROL: Final = b"hermes/v2 control"
"""Begins what the tag of a control message covers."""
OFFER: Final = b"hermes/v2 offer"
ANSWER: Final = b"hermes/v2 answer"
TRANSCRIPT: Final = b"hermes/v2 transcript"
KDF: Final = b"hermes/v2 kdf"
"""Its hash is the salt of epoch 1."""
KEYS: Final = b"hermes/v2 keys"
"""Expands a handshake's pseudorandom key into the keys of an epoch."""
CHAIN: Final = b"hermes/v2 chain"
"""One step of a chain."""
CONFIRM: Final = b"hermes/v2 confirm"
ACK: Final = b"hermes/v2 ack"
RESUME: Final = b"hermes/v2 resume"
JOIN: Final = b"hermes/v2 join"
"""Signed by a node when it joins a peer's stream."""
DESCRIPTOR: Final = b"hermes/v2 descriptor"
"""Signed by a node over its descriptor."""
RING: Final = b"hermes/v2 ring"
"""Hashed into the places of members and keys on a hash ring."""

PURPOSE_A2N_MAC: Final = b"a2n mac"
PURPOSE_N2A_MAC: Final = b"n2a mac"
PURPOSE_A2N_NONCE: Final = b"a2n nonce"
PURPOSE_N2A_NONCE: Final = b"n2a nonce"
PURPOSE_BINDING: Final = b"binding"
"""Of a session: from app to node (of two nodes: from who dialled) and back."""
PURPOSE_I2R: Final = b"i2r"
PURPOSE_R2I: Final = b"r2i"
PURPOSE_MAC: Final = b"mac"
PURPOSE_RATCHET: Final = b"ratchet"
