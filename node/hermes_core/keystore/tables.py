"""Tables of the keystore, and the bounds of keys and values."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

MAX_KEY_BYTES: Final = 255
MAX_VALUE_BYTES: Final = 1 << 20
FILE_ID_BYTES: Final = 16
ROW_KEY_BYTES: Final = 16


class Table(IntEnum):
    """What a record is; numbers are stored and never change meaning."""

    IDENTITY = 1
    CHAT = 2
    TOMBSTONE = 3
    WITNESS = 4
    META = 5
    CLOSED = 6
    HISTORY = 7
    MARK = 8
    APP_IDENTITY = 9
    APP_CHAT = 10
    APP_OUTGOING = 11
    APP_OWN = 12
    APP_ENDED = 13
    APP_MARK = 14
