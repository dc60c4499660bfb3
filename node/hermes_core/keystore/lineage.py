"""The lineage of a keystore: its last openings, and what a mark that somebody hands back proves against it.

Everybody who opens a keystore to write gives that opening an id and commits it first, so two copies of one image never share
an opening. A mark of an opening that this keystore does not know, or left at a lower counter, comes from another copy that
went further: this one is older.

Only openings of which a mark may have left the node are remembered one by one. The others, a crash loop's before anybody was
reached or hermesctl's, become part of the one after them: no mark of theirs exists that could be taken for another copy's.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import PUBLIC_KEY_BYTES
from hermes_core.keystore.mark import OPEN_ID_BYTES, Mark
from hermes_core.keystore.rollback import Rollback, RollbackSign
from hermes_core.values import dataclass

LINEAGE_KEY: Final = b"lineage"
"""Where the lineage is, in table HISTORY."""
TOLD_KEY: Final = b"told"
"""Where it says whether a mark of the newest opening may have left the node, in table HISTORY."""
KEPT_OPENINGS: Final = 64
KEPT_NOTES: Final = 64
MAX_LOST_COMMITS: Final = 2**40
"""No rollback loses more: a node that commits a thousand times a second needs 34 years for them. Counting goes on above a mark
that proves one, and whoever has a key of the node would have it end where no mark can say it any more."""

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BQB")
_OPENING: Final = struct.Struct(f">{OPEN_ID_BYTES}sQQ")


class MarkVerdict(Enum):
    """IGNORED: it proves nothing here, or nothing any more. FINE: this keystore has been there."""

    IGNORED = auto()
    FINE = auto()
    ROLLED_BACK = auto()


@dataclass(frozen=True, slots=True)
class Opening:
    """One time that somebody opened the keystore to write.

    `start`: the commit counter of the commit that began it, or the first of the openings before it that told nobody. `reached`:
    the last one that was durable when the next opening began; 0 in the newest. `former_key`: the identity key (32 bytes) that
    this opening renewed, else empty.
    """

    open_id: bytes
    start: int
    reached: int = 0
    former_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a keystore has been.

    `openings`: oldest first, the newest is the present one. `settled`: the counter of the commit that noted the last
    rollback; `noted`: the opening ids of the marks that proved one, oldest first.
    """

    openings: tuple[Opening, ...] = ()
    settled: int = 0
    noted: tuple[bytes, ...] = ()

    @property
    def current(self) -> Opening:
        return self.openings[-1]

    @property
    def former_keys(self) -> frozenset[bytes]:
        return frozenset(opening.former_key for opening in self.openings if opening.former_key)

    def begin(self, open_id: bytes, found: int, *, told: bool) -> Lineage:
        """An opening of a keystore that stood at commit `found`, which is what the one before it reached, however it ended.

        `told`: a mark of the one before may have left the node.
        """
        before, start = self.openings, found + 1
        if before and (told or before[-1].former_key):
            before = (*before[:-1], replace(before[-1], reached=found))
        elif before:
            before, start = before[:-1], before[-1].start
        return replace(self, openings=(*before, Opening(open_id, start))[-KEPT_OPENINGS:])

    def note(self, mark: Mark, settled: int) -> Lineage:
        """A rollback was judged by `mark`, in a commit whose counter is above both the mark's and ours.

        A former key that signed it counts no more: what was lost before it was renewed is one rollback, and a key is renewed
        because somebody else may have it, who signs as many marks as he likes.
        """
        openings = tuple(
            replace(opening, former_key=b"") if opening.former_key == mark.node_key else opening for opening in self.openings
        )
        noted = (*(open_id for open_id in self.noted if open_id != mark.open_id), mark.open_id)
        return replace(self, openings=openings, settled=settled, noted=noted[-KEPT_NOTES:])


def judge_mark(lineage: Lineage, counter: int, keys: Collection[bytes], mark: Mark) -> tuple[MarkVerdict, Rollback | None]:
    """What an authentic mark says of a keystore that stands at `counter`; `keys` are its node's current and former ones.

    One rollback is judged once. What was lost by the rollbacks so far was written before the verdict on them was: nothing at
    or below `settled` says anything new, nor does another mark of an opening that gave one away. A mark further than that of
    another opening is judged, for it may be of what was lost since. One that is further than any node gets is none.
    """
    if mark.node_key not in keys or not lineage.openings or mark.commit_counter <= lineage.openings[0].start:
        return MarkVerdict.IGNORED, None
    known = next((opening for opening in lineage.openings if opening.open_id == mark.open_id), None)
    if known is not None:
        reached = counter if known is lineage.current else known.reached
        if mark.commit_counter <= reached:
            return MarkVerdict.FINE, None
    if mark.commit_counter - counter > MAX_LOST_COMMITS:
        return MarkVerdict.IGNORED, None
    if mark.open_id in lineage.noted or mark.commit_counter <= lineage.settled:
        return MarkVerdict.IGNORED, None
    sign = RollbackSign.UNKNOWN_OPENING if known is None else RollbackSign.BEYOND_OPENING
    return MarkVerdict.ROLLED_BACK, Rollback(sign, mark.commit_counter, counter)


def encode_told(open_id: bytes, *, told: bool) -> bytes:
    """What is stored: open id(16) ‖ u8(told)."""
    return open_id + bytes((told,))


def parse_told(data: bytes | bytearray, lineage: Lineage) -> bool:
    """Whether a mark of the newest opening may have left the node. An older Hermes that opened in between did not say: it may.

    KeystoreTamperedError when it is not well formed.
    """
    if len(data) != OPEN_ID_BYTES + 1 or data[-1] > 1:
        raise KeystoreTamperedError("the note of what was told is not well formed")
    return not lineage.openings or bytes(data[:-1]) != lineage.current.open_id or bool(data[-1])


def encode_lineage(lineage: Lineage) -> bytes:
    """u8(1) ‖ u64(settled) ‖ u8(n) ‖ n noted open ids(16) ‖ openings.

    Each opening is open id(16) ‖ u64(start) ‖ u64(reached) ‖ u8(length) ‖ former key.
    """
    parts = [_HEAD.pack(_VERSION, lineage.settled, len(lineage.noted)), *lineage.noted]
    for opening in lineage.openings:
        parts.append(_OPENING.pack(opening.open_id, opening.start, opening.reached))
        parts.append(bytes((len(opening.former_key),)) + opening.former_key)
    return b"".join(parts)


def parse_lineage(data: bytes | bytearray) -> Lineage:
    """KeystoreTamperedError when it is not well formed."""
    data = bytes(data)
    try:
        version, settled, notes = _HEAD.unpack_from(data)
        openings_at = _HEAD.size + notes * OPEN_ID_BYTES
        noted = tuple(data[at : at + OPEN_ID_BYTES] for at in range(_HEAD.size, openings_at, OPEN_ID_BYTES))
        lineage = Lineage(tuple(_read_openings(data, openings_at)), settled, noted)
    except (struct.error, IndexError, ValueError):
        lineage = Lineage()
        version = 0
    if version != _VERSION or not 0 < len(lineage.openings) <= KEPT_OPENINGS or encode_lineage(lineage) != data:
        raise KeystoreTamperedError("the keystore's lineage is not well formed")
    return lineage


def _read_openings(data: bytes, at: int) -> Iterator[Opening]:
    while at < len(data):
        open_id, start, reached = _OPENING.unpack_from(data, at)
        at += _OPENING.size
        length = data[at]
        if length not in {0, PUBLIC_KEY_BYTES}:
            raise ValueError("a key has 32 bytes")
        yield Opening(open_id, start, reached, data[at + 1 : at + 1 + length])
        at += 1 + length
