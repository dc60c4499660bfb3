"""What was written to a file since its last sync, kept so that it can be undone, and what a power cut may leave of it.

The file itself has every write at once, as the page cache does; only what a write replaces is remembered. A log that grows
replaces nothing, so the usual commit is remembered by offsets alone.
"""

from __future__ import annotations

import random
from typing import NamedTuple

SECTOR_BYTES = 512
TORN = 0.3
"""The share of surviving writes that are cut off at a sector."""


class Change(NamedTuple):
    """`length` bytes written at `offset`, or (`length` -1) the file cut or grown to `offset`; and what it was before."""

    offset: int
    length: int
    replaced: bytes
    size_before: int


class Unsynced:
    """One file's changes since its last sync, oldest first, and its size now."""

    __slots__ = ("changes", "size")

    def __init__(self, size: int) -> None:
        self.changes: list[Change] = []
        self.size = size

    def write(self, offset: int, length: int, replaced: bytes) -> None:
        """`length` bytes are being written at `offset`, where `replaced` is as far as the file goes."""
        size = self.size
        self.changes.append(Change(offset, length, replaced, size))
        if offset + length > size:
            self.size = offset + length

    def truncate(self, size: int, replaced: bytes) -> None:
        """The file is being cut, which drops `replaced`, or grown."""
        self.changes.append(Change(size, -1, replaced, self.size))
        self.size = size

    def power_loss(self, content: bytes, rng: random.Random, kept: float) -> bytes:
        """Of `content`, what is left: all that was synced, each later change with probability `kept`, some writes torn."""
        left = bytearray(content)
        written = [_undo(left, change) for change in reversed(self.changes)]
        for change, data in zip(self.changes, reversed(written), strict=True):
            if rng.random() < kept:
                _apply(left, change, _torn(change.offset, data, rng))
        return bytes(left)


def _undo(content: bytearray, change: Change) -> bytes:
    """Take the newest change back; the bytes it had written."""
    data = bytes(content[change.offset : change.offset + max(change.length, 0)])
    _resize(content, change.size_before)
    content[change.offset : change.offset + len(change.replaced)] = change.replaced
    return data


def _apply(content: bytearray, change: Change, data: bytes) -> None:
    if change.length < 0:
        _resize(content, change.offset)
    else:
        _resize(content, max(len(content), change.offset + len(data)))
        content[change.offset : change.offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _torn(offset: int, data: bytes, rng: random.Random) -> bytes:
    """Usually all of it; else what lies before one of the sector boundaries inside."""
    boundaries = range((offset // SECTOR_BYTES + 1) * SECTOR_BYTES, offset + len(data), SECTOR_BYTES)
    if not boundaries or rng.random() >= TORN:
        return data
    return data[: rng.choice(boundaries) - offset]
