"""An ephemeral that was used before in a channel is refused: REPLAYED_KEY. (A position: `Channel.open`.)"""

from __future__ import annotations

import hashlib
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError

EPHEMERAL_ID_BYTES: Final = 16
REMEMBERED_EPHEMERALS: Final = 32
"""Both sides' of the latest 16 exchanges. An older statement fails anyway: it names its epoch and the transcript before it."""


def derive_ephemeral_id(ephemeral: bytes) -> bytes:
    """The key id under which a channel remembers an ephemeral: 16 bytes."""
    return hashlib.sha256(ephemeral).digest()[:EPHEMERAL_ID_BYTES]


def refuse_reused(ephemeral: bytes, seen: tuple[bytes, ...]) -> None:
    """REPLAYED_KEY if `ephemeral` is among those that `seen` remembers."""
    if derive_ephemeral_id(ephemeral) in seen:
        raise ProtocolError(ErrorCode.REPLAYED_KEY, "ephemeral was used before in this channel")


def remember(seen: tuple[bytes, ...], *ephemerals: bytes) -> tuple[bytes, ...]:
    """`seen` with the ids of `ephemerals` behind it; the oldest fall out."""
    return (seen + tuple(derive_ephemeral_id(ephemeral) for ephemeral in ephemerals))[-REMEMBERED_EPHEMERALS:]
