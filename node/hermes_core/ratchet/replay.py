"""A frame below the position that is next: opened with the key that was kept for it, or refused as a replay."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.epochs import Epochs


def open_late(epochs: Epochs, epoch: Epoch, position: int, frame: bytes, aad: bytes, now: float) -> bytes:
    """The plaintext, if the position was skipped and its key kept; REPLAYED_FRAME otherwise: it was used before."""
    plaintext = epochs.open_skipped(epoch, position, frame, aad, now)
    if plaintext is None:
        raise ProtocolError(ErrorCode.REPLAYED_FRAME, "position was used before")
    return plaintext
