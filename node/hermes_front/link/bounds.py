"""Every bound of what one end of a link can make the other hold, with a name and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
"""A front and its owner are of one release: another number is a fault of who installed them."""

PATH_BYTES: Final = 256
HOST_BYTES: Final = 64
"""An IPv6 address with its zone."""
NAMES: Final = 64
"""Of a peer's certificate; further ones are left out, so that nobody has a name by them."""
NAME_BYTES: Final = 512
TEXT_BYTES: Final = 1_024
"""Of a status, or of a refusal in words."""
MATERIAL_BYTES: Final = 3 << 20
"""Certificates and their key."""
SETTINGS_BYTES: Final = 65_536

NEWS: Final = 256
"""Counters, refusals in words and defects that a front tells between two answers to PING, which come every second."""
OPENINGS: Final = 4_096
"""Streams that it opens between two, and twice as many as may be open: what opens and is gone costs its owner as well."""
LATE: Final = 1_024
"""Frames on streams that are over, which cross their end on the way."""
LATE_BYTES: Final = 4_096
"""Of a message count as another frame."""
LATE_A_STREAM: Final = 8
"""So many more as there may be streams; each that the owner ends adds what its front may have said by then."""


@dataclass(frozen=True, slots=True)
class Room:
    """What may be on its way in one direction of a stream, and wait for its reader: messages, and bytes.

    A message may leave while there is some of both, so that what is held is at most this and one message.
    """

    frames: int
    size: int


@dataclass(frozen=True, slots=True)
class LinkBounds:
    """Both ends have the same: the owner tells a front its own."""

    message_bytes: int = (4 << 20) + 65_536
    stranger_message_bytes: int = 32_768
    """Of a stream on which nothing was proven."""
    streams: int = 10_000
    stranger_room: Room = Room(4, 65_536)
    """What both directions of a stream begin with."""
    proven_room: Room = Room(64, 262_144)
    """What PROVE adds to it."""
