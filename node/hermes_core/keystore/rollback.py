"""Proof that a keystore is an older copy of itself: what it is, and how it is kept until the node has acted on it."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from hermes_core.errors import KeystoreTamperedError
from hermes_core.values import dataclass

ROLLBACK_KEY: Final = b"rollback"
"""Where a proof waits that nobody has acted on yet, in table HISTORY."""

_LAYOUT: Final = struct.Struct(">BQQ")


class RollbackSign(IntEnum):
    """What gave it away; numbers are stored and never change meaning."""

    BELOW_FLOOR = 1
    FLOOR_MISSING = 2
    FLOOR_DAMAGED = 3
    FLOOR_UNKNOWN = 4
    UNKNOWN_OPENING = 5
    BEYOND_OPENING = 6
    OWN_FUTURE = 7


_SENTENCES: Final = {
    RollbackSign.BELOW_FLOOR: "commits were lost: the file beside it proves {proven}, it stands at {found}",
    RollbackSign.FLOOR_MISSING: "the file beside it that proves how far it came is missing; it stands at {found}",
    RollbackSign.FLOOR_DAMAGED: "the file beside it that proves how far it came is damaged, or another keystore's",
    RollbackSign.FLOOR_UNKNOWN: "it is from before the file that lies beside it was first made",
    RollbackSign.UNKNOWN_OPENING: "a mark proves commit {proven} of an opening that it does not know; it stands at {found}",
    RollbackSign.BEYOND_OPENING: "a mark proves commit {proven} of an opening that it left earlier; it stands at {found}",
    RollbackSign.OWN_FUTURE: "another node holds incarnation {proven}, which this one signed; it knows of none above {found}",
}


@dataclass(frozen=True, slots=True)
class Rollback:
    """`proven`: the commit counter that the proof names, 0 when it names none. `found`: where the keystore stood.

    Of OWN_FUTURE both are incarnations.
    """

    sign: RollbackSign
    proven: int
    found: int

    @property
    def detail(self) -> str:
        """For people."""
        return "the keystore is an older copy: " + _SENTENCES[self.sign].format(proven=self.proven, found=self.found)

    @property
    def by_mark(self) -> bool:
        """Somebody outside proved it, not the file beside it."""
        return self.sign in {RollbackSign.UNKNOWN_OPENING, RollbackSign.BEYOND_OPENING, RollbackSign.OWN_FUTURE}


def encode_rollback(rollback: Rollback) -> bytes:
    """u8(sign) ‖ u64(proven) ‖ u64(found)."""
    return _LAYOUT.pack(rollback.sign, rollback.proven, rollback.found)


def parse_rollback(data: bytes | bytearray) -> Rollback:
    """KeystoreTamperedError when it is not well formed."""
    try:
        sign, proven, found = _LAYOUT.unpack(data)
        return Rollback(RollbackSign(sign), proven, found)
    except (struct.error, ValueError):
        raise KeystoreTamperedError("the note of a rollback is not well formed") from None
