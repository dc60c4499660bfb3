"""One direction of one epoch: a chain of one-use message keys that is reserved ahead of its use.

The chain key is kept twice: at the next position, and at the reserved one, which is what the sealed record holds. Running
the chain ahead derives every message key of the window; a busy chain keeps them in *rows* until they are used, so that no
step is computed twice. Row of position p: chain key of p + 1 (32 bytes) ‖ message key of p (32 bytes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from hermes_core.crypto.hashing import ALGORITHM, HashId
from hermes_core.crypto.labels import CHAIN
from hermes_core.crypto.secret import SecretBytes, wipe_buffer, wipe_range
from hermes_core.crypto.sodium import ffi
from hermes_core.ratchet.state import DirectionSnapshot

CHAIN_KEY_BYTES: Final = 32
ROW_BYTES: Final = 64
ROWS_IDLE_S: Final = 10.0
"""Rows are kept while a window is used up within this time, and dropped when one is not: an idle chat holds two keys."""
MAX_ROWS: Final = 1024
"""At most 64 KiB of rows; a larger window is computed twice."""

_memmove: Final = ffi.memmove
_pointer: Final = ffi.from_buffer
_NEVER: Final = float("-inf")


class Chain:
    """Hands out the message key of each position once; `next` is the lowest position not used, `reserved` what a record says.

    The order for a position p ≥ next is `message_key(p)`, the cipher, then, if p ≥ reserved, `reserve(p)`, then `advance(p)`
    (or `forget()` when the cipher refused). How far p may be ahead of `next` is bounded by the caller.

    Positions below `relied_on` need no more than what was reserved when it was needed; those from there up to `reserved` need
    the reservation that was made early, before anything needed it. At `mark` half of a reservation is left, or is none.
    """

    __slots__ = (
        "_algorithm", "_end", "_first", "_key", "_reserved_at_s", "_reserved_key", "_rows", "_rows_pointer", "mark", "next",
        "relied_on", "reserved",
    )  # fmt: skip

    def __init__(self, hash_id: HashId, chain_key: SecretBytes, position: int = 0) -> None:
        """`chain_key` is the key at `position`; it is copied."""
        self._algorithm = ALGORITHM[hash_id]
        self._key = bytearray(CHAIN_KEY_BYTES)
        self._key[:] = chain_key.buffer
        self._reserved_key = bytearray(self._key)
        self._rows: bytearray | None = None
        self._rows_pointer: Any = None
        self._first = self._end = position
        self._reserved_at_s = _NEVER
        self.next = position
        self.reserved = self.relied_on = self.mark = position

    def message_key(self, position: int) -> Any:
        """A C pointer to the 32 bytes of the key of `position`, valid until `advance` or `forget`. Nothing has moved yet."""
        if position >= self._end:
            self._derive_rows(position + 1)
        return self._rows_pointer + ((position - self._first) * ROW_BYTES + CHAIN_KEY_BYTES)

    def advance(self, position: int) -> None:
        """`position` was used: wipe every key at and below it. Its `message_key` was asked for before."""
        row = (position - self._first) * ROW_BYTES
        _memmove(self._key, self._rows_pointer + row, CHAIN_KEY_BYTES)
        if position + 1 == self._end:
            self._drop_rows(position + 1)
        else:
            start = (self.next - self._first) * ROW_BYTES
            wipe_range(self._rows_pointer + start, row + ROW_BYTES - start)
        self.next = position + 1

    def forget(self) -> None:
        """Drop what was derived for a position that was refused; a later use derives it again."""
        if self._rows is not None:
            self._drop_rows(self.next)

    def reserve(self, position: int, window: int, now: float) -> None:
        """Move `reserved` to `position + window`. The caller makes the new value durable before `position` is used."""
        target = position + window
        if now - self._reserved_at_s < ROWS_IDLE_S and target - self.next <= MAX_ROWS:
            self._derive_rows(target)
            _memmove(self._reserved_key, self._rows_pointer + (target - 1 - self._first) * ROW_BYTES, CHAIN_KEY_BYTES)
        else:
            self._run_reserved_key(target)
        self.reserved = self.relied_on = target
        self.mark = target - window // 2
        self._reserved_at_s = now

    def reserve_early(self, window: int, now: float) -> None:
        """Move `reserved` on by `window` while positions are left: the new value may become durable beside their use."""
        left_until = self.reserved
        self.reserve(left_until, window, now)
        self.relied_on = self.mark = left_until

    def reserve_late(self) -> None:
        """The next reservation is not made before it is needed."""
        self.mark = self.reserved

    def rely_on_early(self) -> None:
        """Positions are used that only the early reservation covers."""
        self.mark = self.reserved - (self.reserved - self.relied_on) // 2
        self.relied_on = self.reserved

    def settle(self, position: int) -> None:
        """Move `reserved` to `position`, from where it is up to `next`: what is below is never asked for again."""
        if position == self.next:
            self._reserved_key[:] = self._key
        else:
            self._step_reserved_key(position - self.reserved)
        self.reserved = self.relied_on = self.mark = position

    def fast_forward(self, position: int) -> None:
        """Never use the positions below `position` (the caller bounds it); `reserved` follows. Never moves back."""
        if position <= self.next:
            return
        self.message_key(position - 1)
        self.advance(position - 1)
        if self.reserved < position:
            self._reserved_key[:] = self._key
            self.reserved = self.relied_on = self.mark = position
        elif self.relied_on < position:
            self.rely_on_early()

    @property
    def rows_drop_at_s(self) -> float | None:
        """When `drop_idle_rows` has something to do."""
        return None if self._rows is None else self._reserved_at_s + ROWS_IDLE_S

    def drop_idle_rows(self, now: float) -> None:
        due = self.rows_drop_at_s
        if due is not None and now >= due:
            self._drop_rows(self.next)

    def snapshot(self) -> DirectionSnapshot:
        """What a restart resumes from: nothing below `reserved` can be opened with it."""
        return DirectionSnapshot(self.reserved, SecretBytes.copy_of(self._reserved_key))

    def wipe(self) -> None:
        """Zero every key; the chain is of no use afterwards."""
        self._drop_rows(self._end)
        wipe_buffer(self._key)
        wipe_buffer(self._reserved_key)

    def __del__(self, _wipe: Callable[[bytearray], None] = wipe_buffer) -> None:
        for name in ("_rows", "_key", "_reserved_key"):
            buffer = getattr(self, name, None)  # None: dropped, or never made
            if buffer is not None:
                _wipe(buffer)  # bound here, as in SecretBytes: module names may be gone

    def _derive_rows(self, end: int) -> None:
        """Extend the rows to those of positions `next` … `end - 1`."""
        rows = bytearray((end - self.next) * ROW_BYTES)
        view = memoryview(rows)
        filled = 0
        key = memoryview(self._key)
        if self._rows is not None:
            filled = (self._end - self.next) * ROW_BYTES
            _memmove(rows, self._rows_pointer + (self.next - self._first) * ROW_BYTES, filled)
            key = view[filled - ROW_BYTES : filled - CHAIN_KEY_BYTES]
            self._drop_rows(self.next)
        algorithm = self._algorithm
        for row in range(filled, len(rows), ROW_BYTES):
            HKDFExpand(algorithm, ROW_BYTES, CHAIN).derive_into(key, view[row : row + ROW_BYTES])
            key = view[row : row + CHAIN_KEY_BYTES]
        self._rows = rows
        self._rows_pointer = _pointer(rows)
        self._first = self.next
        self._end = end

    def _run_reserved_key(self, target: int) -> None:
        """Run the chain to `target` from the furthest key at hand, keeping nothing on the way."""
        start = self.reserved
        if self._end > start:  # the row of a position beyond `reserved`, just accepted
            start = self._end
            _memmove(self._reserved_key, self._rows_pointer + (start - 1 - self._first) * ROW_BYTES, CHAIN_KEY_BYTES)
        self._step_reserved_key(target - start)

    def _step_reserved_key(self, steps: int) -> None:
        """Run it so many positions on."""
        pair = bytearray(2 * ROW_BYTES)  # two rows in turn: input and output of a step never overlap
        view = memoryview(pair)
        rows = (view[:ROW_BYTES], view[ROW_BYTES:])
        key = memoryview(self._reserved_key)
        for step in range(steps):
            row = rows[step & 1]
            HKDFExpand(self._algorithm, ROW_BYTES, CHAIN).derive_into(key, row)
            key = row[:CHAIN_KEY_BYTES]
        _memmove(self._reserved_key, key, CHAIN_KEY_BYTES)
        wipe_buffer(pair)

    def _drop_rows(self, position: int) -> None:
        if self._rows is not None:
            wipe_buffer(self._rows)
            self._rows = None
            self._rows_pointer = None
        self._first = self._end = position
