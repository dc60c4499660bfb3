"""The sealed file as it gets new keys: a generation for its records, slice by slice or at once, and another passphrase."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from hermes_core.crypto.random import RandomSource
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.rotation_timer import SLICE_ROWS, SLICE_S
from hermes_keystore.lock import KeystoreLock
from hermes_keystore.place import OpenFiles
from hermes_keystore.rotation import Slice, rewrap_master, rotate_slice
from hermes_keystore.sealed_file import SealedFile
from hermes_keystore.unsealing import Unsealed


class RotatingFile(SealedFile):
    """Owns where the next slice begins. `now` in seconds, of a clock that only rises."""

    def __init__(
        self,
        path: Path,
        lock: KeystoreLock,
        connection: sqlite3.Connection,
        unsealed: Unsealed,
        random: RandomSource,
        files: OpenFiles,
        now: Callable[[], float],
    ) -> None:
        super().__init__(path, lock, connection, unsealed, random, files)
        self._now = now
        self._next_slice_after = unsealed.census.former_after
        self._slices = 0

    @property
    def rotating(self) -> bool:
        """Whether a rotation in slices is under way, begun by this process or by one before it."""
        return self._unsealed.former is not None

    @property
    def left_to_rotate(self) -> int:
        """Records that the former generation sealed."""
        former = self._unsealed.census.former
        return 0 if former is None else former.count

    def rotate_slice(self) -> bool:
        """Seal the next few records anew, under a new generation if there is one only; True when all are.

        With the last one the former generation is forgotten: older copies of records then open to nobody. A slice is one
        commit of at most SLICE_ROWS records and, but for its fsync and the last record, SLICE_S.
        """
        ends_at = self._now() + SLICE_S
        self._rotate(Slice(self._next_slice_after, SLICE_ROWS, lambda: self._now() >= ends_at))
        return not self.rotating

    def rotate_generation(self) -> None:
        """Seal every record under a new key and forget the old ones, in one transaction.

        A rotation in slices that is under way ends first, in one of its own.
        """
        if self.rotating:
            self._rotate(Slice())
        self._rotate(Slice())

    def _rotate(self, part: Slice) -> None:
        self._check_usable()

        def write() -> Unsealed:
            renewed, self._next_slice_after = rotate_slice(self._connection, self._unsealed, part, self._random)
            return renewed

        self._transact(write)
        self._slices += 1
        if not self.rotating:
            self._next_slice_after = b""

    def rewrap(self, backend: KeyBackend) -> None:
        """Seal the keystore with another key backend; records are not touched."""
        self._check_usable()
        self._transact(lambda: rewrap_master(self._connection, self._unsealed, backend, self._random))
