"""One node's volume in a simulated world: a folder on which a process can be killed, that can lose power, fill up, break, or
be put back to an older image.

Its files are real, so that the keystore's own stat, rename, unlink and flock need no stand-in.

Disk model: what was synced is there. Of what was written or cut off since, any subset may be there, and a write may be torn
at a sector. Directory entries are durable at once (tests/component/keystore/crash_recorder.py has the harder model).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hermes_keystore import Keystore
from hermes_keystore.database import connect_sqlite
from hermes_keystore.log_check import FRAME_HEADER_BYTES, HEADER_BYTES
from tests.simulation.file_system import Device, Writer, file_system

_MODE: Final = 0o600


@dataclass(frozen=True)
class Snapshot:
    """An image of a volume: every file's bytes by name."""

    files: Mapping[str, bytes]


class Volume(Device):
    """A folder without folders in it, for one process at a time; `connect` is the keystore's connector.

    When that process died (`kill`, `cut_power`, or `on_write` raised), what is left of it in this one cannot change a byte;
    `kill` or `cut_power` makes room for its successor.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder.resolve()  # as SQLite names its files
        file_system().mount(self._folder, self)

    def connect(self, uri: str) -> sqlite3.Connection:
        """Writers go through the simulated file system; what only reads has nothing to lose."""
        return connect_sqlite(uri) if "mode=ro" in uri else Writer(uri, self)  # type: ignore[return-value]

    def snapshot(self) -> Snapshot:
        """An image of every file as it is now, synced or not."""
        return Snapshot({path.name: path.read_bytes() for path in self._files()})

    def restore(self, snapshot: Snapshot) -> None:
        """Put an image back, durably, and nothing but that; nobody may have the volume open."""
        self.lose()
        for name, data in snapshot.files.items():
            path = self._folder / name
            path.touch(_MODE)
            path.write_bytes(data)

    def cut_log(self, kept: float) -> int:
        """Cut the log between two commits, durably: the share `kept` of them stays, and at least one goes. How many went.

        Nobody may have the volume open.
        """
        gone = 0
        for path in self._files():
            log = path.read_bytes() if path.name.endswith("-wal") else b""
            ends = _commit_ends(log)
            if ends:
                stay = min(int(kept * len(ends)), len(ends) - 1)
                path.write_bytes(log[: ends[stay - 1] if stay else HEADER_BYTES])
                gone += len(ends) - stay
        self.forget_unsynced()
        return gone

    def lose(self) -> None:
        """An empty folder; nobody may have the volume open."""
        if self.writers:
            raise RuntimeError(f"{self._folder} is open: close the keystore or kill its process first")
        for path in self._files():
            path.unlink()
        self.forget_unsynced()

    def kill(self) -> None:
        """The process died, the machine lives: what was written stays, synced or not.

        Its connections are closed without a last word to the files. Its keystore is for `abandon`.
        """
        self.stopped = True
        for writer in tuple(self.writers):
            writer.abandon()
        self.stopped = False

    def cut_power(self, rng: random.Random, kept: float) -> None:
        """The machine died: of what was not synced, each change survives with probability `kept`, some writes torn."""
        self.kill()
        for path in self._files():
            unsynced = self.unsynced(path)
            if unsynced.changes:
                path.write_bytes(unsynced.power_loss(path.read_bytes(), rng, kept))
        self.forget_unsynced()

    def close(self) -> None:
        """Kill what is open and let go of the folder."""
        self.kill()
        file_system().unmount(self._folder)

    def _files(self) -> list[Path]:
        return sorted(self._folder.iterdir())


def _commit_ends(log: bytes) -> list[int]:
    """Where the commits of a log end: frames with the salt of its header that say how long the database is after them.

    https://sqlite.org/fileformat2.html#the_write_ahead_log
    """
    if len(log) < HEADER_BYTES:
        return []
    frame_bytes, salts = FRAME_HEADER_BYTES + int.from_bytes(log[8:12], "big"), log[16:24]
    ends = []
    for at in range(HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        if log[at + 8 : at + 16] != salts:
            break
        if any(log[at + 4 : at + 8]):
            ends.append(at + frame_bytes)
    return ends


def abandon(store: Keystore) -> None:
    """For a keystore whose process was killed, what the kernel does at SIGKILL: its descriptor of the lock file closes, which
    lets go of the flock, and its memory is gone. The object is closed, so that whoever still has it reaches no file.
    """
    store._closed = True
    store._unsealed.wipe()
    store._lock.release()
