"""What was used before in a channel is refused: an ephemeral, the place of an offer. (A position: `Channel.open`.)"""

from __future__ import annotations

import hashlib
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError

EPHEMERAL_ID_BYTES: Final = 16
REMEMBERED_EPHEMERALS: Final = 32
"""Both sides' of the latest 16 exchanges. An older statement fails anyway: it names its epoch and the transcript before it."""

FIRST_OFFER_S: Final = 3600.0
"""How far from our clock a first offer may have been made: what makes it unlike another is the memory of chats that ended."""
REMEMBERED_END_S: Final = 2 * FIRST_OFFER_S + 600.0
"""An ended chat is remembered for longer than its first offer, made by a clock that is ahead, could be sent again."""


def next_order(last: int, wall_s: float) -> int:
    """The order of our next offer, or the stamp of our next Connect: above the last, and the time in ms where clocks agree."""
    return max(last + 1, int(wall_s * 1000))


def refuse_outdated(order: int, seen: int) -> None:
    """OFFER_OUTDATED unless `order` is above the highest of the sender's offers that was answered."""
    if order <= seen:
        raise ProtocolError(ErrorCode.OFFER_OUTDATED, "a newer offer of this sender was answered already")


def refuse_old_first(order: int, wall_s: float) -> None:
    """CLOCK_SKEW for a first offer that was made more than an hour from now."""
    if abs(order / 1000 - wall_s) > FIRST_OFFER_S:
        raise ProtocolError(ErrorCode.CLOCK_SKEW, "the offer was made more than an hour from this end's time")


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
