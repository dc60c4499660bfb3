"""The file beside a keystore that holds its floor: when it is written, and what is found there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreIOError
from hermes_core.keystore.floor import FLOOR_FILE_BYTES, FLOOR_INTERVAL_S, SECOND_AT, encode_floor_file, seal_floor
from hermes_keystore import atomic_file
from hermes_keystore.place import check_beside, floor_path


def read_floor(path: Path) -> bytes | None:
    """What lies beside the keystore at `path`, at most one byte more than can be right; None: nothing."""
    beside = floor_path(path)
    check_beside(beside)
    try:
        with beside.open("rb", buffering=0) as file:
            return file.read(FLOOR_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeystoreIOError(f"cannot read {beside}: {error.strerror}") from None


def remove_floor(path: Path) -> None:
    """For a keystore that is gone."""
    for file in (floor_path(path), atomic_file.draft_path(floor_path(path))):
        file.unlink(missing_ok=True)


def write_floor(path: Path, key: SecretBytes, file_id: bytes, counter: int, random: RandomSource) -> None:
    """Both floors of a keystore, durably; `path` is the floor's own. OSError when the volume fails."""
    atomic_file.replace_file(path, encode_floor_file(seal_floor(key, file_id, counter, random)))


class FloorFile:
    """Owns the floor's key. `now` in seconds, of a clock that only rises."""

    def __init__(self, path: Path, key: SecretBytes, file_id: bytes, now: Callable[[], float], random: RandomSource) -> None:
        self._path = floor_path(path)
        self._key = key
        self._file_id = file_id
        self._now = now
        self._random = random
        self._written = 0
        self._due_at = 0.0

    def is_behind(self, counter: int) -> bool:
        return counter > self._written

    def is_due(self, counter: int) -> bool:
        return self.is_behind(counter) and self._now() >= self._due_at

    def write(self, counter: int, *, durably: bool) -> None:
        """Commit `counter` is durable: from now on nobody can take it away unseen. Not `durably`: unless the power fails."""
        try:
            if durably:
                write_floor(self._path, self._key, self._file_id, counter, self._random)
            else:
                sealed = seal_floor(self._key, self._file_id, counter, self._random)
                atomic_file.overwrite(self._path, SECOND_AT, sealed)
        except OSError as error:
            number = error.errno or errno.EIO
            raise KeystoreIOError(f"cannot write {self._path}: {os.strerror(number)}") from None
        self._written = counter
        self._due_at = self._now() + FLOOR_INTERVAL_S

    def wipe(self) -> None:
        self._key.wipe()
