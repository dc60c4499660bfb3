"""HTTP/2's frames as numbers and bytes (RFC 9113)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
MAX_WINDOW: Final = 2**31 - 1
MAX_STREAM: Final = 2**31 - 1
PREFIX_BYTES: Final = 5
"""Before each message gRPC puts a flag and its length."""


class FrameKind(IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Why a stream or a connection ended: those that this end says."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class SettingKey(IntEnum):
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


# Flags; which of them a frame has depends on its kind.
ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
HAS_PRIORITY: Final = 32

# As plain integers where every frame passes: an enum's member costs more to compare.
DATA: Final = int(FrameKind.DATA)

HEAD: Final = Struct(">IBI")
"""Length and kind in one word, flags, stream."""
DATA_AND_PREFIX: Final = Struct(">IBIBI")
"""The head of a DATA frame, and gRPC's of the message that fills it."""
PREFIX: Final = Struct(">BI")
SETTING: Final = Struct(">HI")


def build_frame(kind: FrameKind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def build_number(kind: FrameKind, stream: int, number: int) -> bytes:
    """RST_STREAM with its code, WINDOW_UPDATE with its step."""
    return HEAD.pack(4 << 8 | kind, 0, stream) + number.to_bytes(4, "big")


def build_settings(values: dict[SettingKey, int]) -> bytes:
    return build_frame(FrameKind.SETTINGS, 0, 0, b"".join(SETTING.pack(key, value) for key, value in values.items()))


def build_go_away(last: int, code: Code, text: str) -> bytes:
    payload = last.to_bytes(4, "big") + code.to_bytes(4, "big") + text.encode("ascii", "replace")
    return build_frame(FrameKind.GOAWAY, 0, 0, payload)
