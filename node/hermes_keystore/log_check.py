"""Damage in the write-ahead log: SQLite drops the log from the first bad frame on, without a word; here it is told apart.

After a crash the log may end in one torn transaction: the one that was being written, never acknowledged. Every earlier one
was synced before the next began, and the opening after a crash empties the log before anything is added to it. So a second
whole-looking commit after the first bad frame means that acknowledged commits were damaged, and opening would silently roll
them back. Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from hermes_core.errors import KeystoreIOError, KeystoreTamperedError
from hermes_core.values import dataclass
from hermes_keystore.place import wal_path

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_MAGIC: Final = 0x377F0682  # lowest bit set: checksums over big-endian words
_HEADER: Final = struct.Struct(">IIIIIIII")  # magic, format, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
_FRAME: Final = struct.Struct(">IIIIII")  # page, pages after commit (0: no commit), salt 1, salt 2, checksum 1, checksum 2
_PAGE_SIZES: Final = frozenset(1 << shift for shift in range(9, 17))
_MASK: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class LogCensus:
    """Frames and commits SQLite will use, and commits after the first frame it will not."""

    valid_frames: int
    valid_commits: int
    commits_after_damage: int


def check_log(path: Path) -> None:
    """KeystoreTamperedError when SQLite would drop acknowledged commits from the log of the database at `path`."""
    try:
        log = wal_path(path).read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise KeystoreIOError(f"cannot read {wal_path(path)}: {error.strerror}") from None
    census = parse_log(log)
    if census is None:
        if len(log) > HEADER_BYTES:
            raise KeystoreTamperedError("the write-ahead log is damaged: its header does not hold, and commits follow it")
    elif census.commits_after_damage > 1:
        raise KeystoreTamperedError("the write-ahead log is damaged: commits follow a frame that does not hold")


def parse_log(log: bytes) -> LogCensus | None:
    """What is in a log; None when it has no valid header (an empty log has none)."""
    if len(log) < HEADER_BYTES:
        return None
    magic, _, page_bytes, _, salt_1, salt_2, *checksum = _HEADER.unpack_from(log)
    if magic & ~1 != _MAGIC or page_bytes not in _PAGE_SIZES:
        return None
    order = ">" if magic & 1 else "<"
    running = _checksum(order, log[: HEADER_BYTES - 8], (0, 0))
    if running != tuple(checksum):
        return None
    valid_frames = valid_commits = commits_after_damage = 0
    damaged = False
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    for at in range(HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        page, commit, frame_salt_1, frame_salt_2, *frame_checksum = _FRAME.unpack_from(log, at)
        ours = (frame_salt_1, frame_salt_2) == (salt_1, salt_2)
        if not damaged:
            running = _checksum(order, log[at : at + 8], running)
            running = _checksum(order, log[at + FRAME_HEADER_BYTES : at + frame_bytes], running)
            in_chain = running == tuple(frame_checksum)
            damaged = not ours or not page or not in_chain
            ours = ours or in_chain  # the checksum does not cover the salt: this is our frame with a damaged salt
        if not damaged:
            valid_frames += 1
            valid_commits += bool(commit)
        elif ours:
            commits_after_damage += bool(commit)
    return LogCensus(valid_frames, valid_commits, commits_after_damage)


def _checksum(order: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    """SQLite's Fibonacci-weighted checksum over 32-bit words, continued from `start`."""
    first, second = start
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
