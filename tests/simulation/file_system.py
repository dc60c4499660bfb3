"""The file system under the writing SQLite connections of all simulated volumes, on APSW.

It passes everything on to real files, asks the volume before each change, and keeps what was not synced. It also sees the
keystore's own `os.fsync`, which confirms as SQLite's does. Nothing is really synced: the power that fails is simulated.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw

from hermes_keystore import atomic_file
from tests.simulation.unsynced import Unsynced
from tests.support.apsw_connection import ApswConnection

_NAME: Final = "simulated-volume"
_BASE: Final = "unix-none"  # no locks: the keystore has its own, and SQLite's are shared by all connections of a process

_really_fsync, _really_write_draft, _really_overwrite = os.fsync, atomic_file.write_draft, atomic_file.overwrite


class Device:
    """What the file system asks of a volume: whether a change may be made, and where to remember it."""

    def __init__(self) -> None:
        self.full = False
        """Writes and growing fail, SQLITE_FULL."""
        self.broken = False
        """Writes, truncates, removals and syncs fail, SQLITE_IOERR."""
        self.on_write: Callable[[], None] | None = None
        """Called before each of these. What it raises (BaseException: nothing catches it) stops the process there, and is to be
        followed by `kill` or `cut_power` once it has left the keystore. It may set `full` or `broken`."""
        self.writes = 0
        self.syncs = 0
        self.stopped = False
        """The process is dead: what is left of it changes nothing any more."""
        self.writers: set[Writer] = set()
        self._unsynced: dict[int, Unsynced] = {}  # by inode, which a rename does not change

    def admit(self) -> bool:
        """Before a change or a sync: whether the process still lives to make it."""
        if self.stopped:
            return False
        if self.on_write is not None:
            self.stopped = True  # unless it returns
            self.on_write()
            self.stopped = False
        if self.broken:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        return True

    def sync(self, unsynced: Unsynced) -> None:
        if self.admit():
            self.syncs += 1
            unsynced.changes.clear()

    def unsynced(self, path: Path) -> Unsynced:
        """What is remembered of a file. One that somebody else made, or made longer or shorter, is durable as it is."""
        found = path.stat()
        known = self._unsynced.get(found.st_ino)
        if known is None or known.size != found.st_size:
            known = self._unsynced[found.st_ino] = Unsynced(found.st_size)
        return known

    def note_new(self, path: Path, length: int) -> None:
        """A file that begins anew was written, all at once."""
        unsynced = self._unsynced[path.stat().st_ino] = Unsynced(0)
        unsynced.write(0, length, b"")

    def forget_unsynced(self) -> None:
        """Every file is durable as it is."""
        self._unsynced.clear()


class Writer(ApswConnection):
    """A writing connection, which its volume can close as the kernel does."""

    def __init__(self, uri: str, device: Device) -> None:
        super().__init__(f"{uri}&vfs={_NAME}")
        self._device = device
        device.writers.add(self)

    def close(self) -> None:
        """Without an error when the last checkpoint fails: sqlite3's close reports none either."""
        self._device.writers.discard(self)
        with contextlib.suppress(apsw.Error):
            super().close()

    def abandon(self) -> None:
        """Close without the last checkpoint."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.close()


class FileSystem(apsw.VFS):
    """Finds the volume by a file's folder."""

    def __init__(self) -> None:
        super().__init__(_NAME, _BASE)
        self._devices: dict[Path, Device] = {}

    def mount(self, folder: Path, device: Device) -> None:
        self._devices[folder] = device
        os.fsync = self._fsync
        atomic_file.write_draft = self._write_draft
        atomic_file.overwrite = self._overwrite

    def unmount(self, folder: Path) -> None:
        """Harmless when repeated."""
        self._devices.pop(folder, None)
        if not self._devices:
            os.fsync = _really_fsync
            atomic_file.write_draft = _really_write_draft
            atomic_file.overwrite = _really_overwrite

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - APSW's name
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        device = self._devices[path.parent]
        if device.stopped:
            raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
        return _File(device, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, ARG002 - APSW's name
        if self._devices[Path(filename).parent].admit():
            super().xDelete(filename, False)

    def _write_draft(self, path: Path, data: bytes) -> None:
        """A small file of the keystore's own that is to replace another: what is renamed before it is synced may be torn."""
        device = self._devices.get(path.parent)
        if device is None:
            _really_write_draft(path, data)
        elif self._admit(device, grows=True):
            _really_write_draft(path, data)
            device.note_new(path, len(data))

    def _overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """A part of a small file that is there."""
        device = self._devices.get(path.parent)
        if device is not None:
            if not self._admit(device, grows=False):
                return
            device.unsynced(path).write(offset, len(data), path.read_bytes()[offset : offset + len(data)])
        _really_overwrite(path, offset, data)

    def _admit(self, device: Device, *, grows: bool) -> bool:
        try:
            if not device.admit():
                return False
        except apsw.IOError:
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from None
        if device.full and grows:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        device.writes += 1
        return True

    def _fsync(self, fd: Any) -> None:
        """os.fsync while volumes exist."""
        path = Path(f"/proc/self/fd/{fd if isinstance(fd, int) else fd.fileno()}").readlink()
        device = self._devices.get(path) or self._devices.get(path.parent)  # of a folder, of a file
        if device is None:
            _really_fsync(fd)
            return
        try:
            device.sync(device.unsynced(path))
        except apsw.IOError:
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from None


@functools.cache
def file_system() -> FileSystem:
    """The only one: registering one for each volume would cost every world."""
    return FileSystem()


class _File(apsw.VFSFile):
    """Reading is left to the base, at the speed of C."""

    def __init__(self, device: Device, path: Path, name: Any, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        self._device = device
        self._unsynced = device.unsynced(path)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - APSW's name
        device = self._device
        if not device.admit():
            return
        if device.full:
            raise apsw.exception_for(apsw.SQLITE_FULL)
        device.writes += 1
        unsynced, length = self._unsynced, len(data)
        overwritten = min(length, unsynced.size - offset)
        unsynced.write(offset, length, super().xRead(overwritten, offset) if overwritten > 0 else b"")
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        device, unsynced = self._device, self._unsynced
        if not device.admit():
            return
        if device.full and newsize > unsynced.size:
            raise apsw.exception_for(apsw.SQLITE_FULL)
        device.writes += 1
        cut = unsynced.size - newsize
        unsynced.truncate(newsize, super().xRead(cut, newsize) if cut > 0 else b"")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802, ARG002 - APSW's name
        self._device.sync(self._unsynced)


def seed_sqlite(rng: random.Random) -> None:
    """Make SQLite's random numbers (it salts its logs) those of `rng`, process-wide, so that a seed repeats every byte."""
    source = _RandomSource(rng)
    apsw.randomness(0)  # forget; the next request seeds anew, from the default file system
    apsw.randomness(1)
    source.unregister()


class _RandomSource(apsw.VFS):
    def __init__(self, rng: random.Random) -> None:
        super().__init__("seeded-randomness", _BASE, makedefault=True)
        self._rng = rng

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802 - APSW's name
        return self._rng.randbytes(numbytes)
