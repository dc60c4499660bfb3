"""How large a message is on the wire at most, without building it: what queues and batches are counted with."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.mlkem import ENCAPSULATION_KEY_BYTES
from hermes_core.protocol.messages import Answer, Offer, Sealed

FRAME_OVERHEAD_BYTES: Final = 16
PLAIN_MESSAGE_BYTES: Final = 1024
"""At least what any message but these takes on the wire, and what it takes in memory, roughly."""
EXCHANGE_BYTES: Final = PLAIN_MESSAGE_BYTES + 2 * ENCAPSULATION_KEY_BYTES
"""An offer, or an answer, whose ciphertexts are shorter: both halves may have a key of ML-KEM-768."""


def estimate_bytes(message: object) -> int:
    """An upper bound of a message's size on the wire."""
    if isinstance(message, Sealed):
        return len(message.frame) + FRAME_OVERHEAD_BYTES
    return EXCHANGE_BYTES if isinstance(message, Offer | Answer) else PLAIN_MESSAGE_BYTES
