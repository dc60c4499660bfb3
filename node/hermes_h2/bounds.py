"""Every bound of what a peer can make this end hold or do, with a name and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FRAME_BYTES: Final = 16_384
"""The longest frame that is taken and sent: HTTP/2's least, which no peer can ask to be raised."""

INITIAL_WINDOW: Final = 65_535
"""What each window of HTTP/2 begins with."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one connection. "Before proof": until `H2Connection.prove` was called for a stream, for the connection's first one."""

    header_block_bytes: int = 8_192
    """A HEADERS frame and its CONTINUATIONs, as they are sent."""
    header_list_bytes: int = 8_192
    """The same decoded, with HPACK's 32 bytes for each field."""
    continuations: int = 4
    """CONTINUATION frames of one header block."""

    header_budget_bytes: int = 32_768
    """Header blocks in a burst: decoding them is what costs most. Refilled by `header_budget_per_s`."""
    header_budget_per_s: float = 2_048.0

    streams: int = 256
    """At once."""
    first_streams: int = 16
    """Ever, before the connection's first proof; a client is told so, and that there are more places afterwards."""
    first_refusals: int = 128
    """Beyond them, before proof: a client may have opened those before it was told, and opens them again later."""
    openings: int = 512
    """Streams opened in a burst, refilled by `openings_per_s`; one that proves itself gives back what it took."""
    openings_per_s: float = 20.0

    message_bytes: int = 4 << 20
    """One gRPC message."""
    first_message_bytes: int = 32_768
    """The same before proof; below `INITIAL_WINDOW`, so that it arrives without more window than every stream has."""
    window: int = 262_144
    """What may arrive on a proven stream and wait for its reader."""
    connection_window: int = 1 << 20
    """What may be on its way on a proven connection; it is credited as it comes."""
    lent_bytes: int = 16 << 20
    """Window beyond that which messages longer than it get, all streams of a connection together, while they arrive."""

    control_frames: int = 200
    """Frames that carry nothing (PING, SETTINGS, WINDOW_UPDATE, RST_STREAM ...) in a burst, refilled by `control_frames_per_s`
    and by what moves: a client asks for its round trip with each read, and says how far it has read."""
    control_frames_per_s: float = 50.0
    control_earned_a_message: int = 3
    control_earned_bytes: int = 4_096
    """So many bytes of messages, either way, earn one more."""

    output_bytes: int = 262_144
    """Made for a transport that does not take it; from there on messages wait in their streams."""
    ended_streams: int = 128
    """Streams that this end ended, remembered because their peer may not know yet."""
