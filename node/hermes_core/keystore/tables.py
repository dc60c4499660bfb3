"""Tables of the keystore, the record version each is written in, and the bounds of keys and values."""

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


RECORD_VERSIONS: Final[dict[Table, int]] = {
    Table.IDENTITY: 1,
    Table.CHAT: 2,
    Table.TOMBSTONE: 1,
    Table.WITNESS: 1,
    Table.META: 1,
    Table.CLOSED: 1,
}
"""The version records of a table are written in; older ones are migrated when a keystore is opened, newer ones refused."""
