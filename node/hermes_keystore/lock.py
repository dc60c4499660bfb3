"""One process a keystore: an exclusive flock on a sidecar, which no open or close of the database itself can drop."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermes_core.errors import KeystoreIOError, KeystoreLockedError
from hermes_keystore.place import check_beside

_ATTEMPTS = 16


def lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


class KeystoreLock:
    """Held from construction to `release()`. Also excludes a second opener in the same process.

    POSIX record locks vanish when any descriptor of the file is closed; flock belongs to this descriptor alone.
    """

    def __init__(self, path: Path) -> None:
        """KeystoreLockedError when another holds it, KeystoreIOError when the sidecar cannot be made."""
        self._sidecar = lock_path(path)
        self._descriptor = _acquire(self._sidecar)

    def release(self, *, remove: bool = False) -> None:
        """Let go, harmless when repeated; `remove` deletes the sidecar too (after the keystore was wiped)."""
        if self._descriptor < 0:
            return
        if remove:
            self._sidecar.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


@contextmanager
def lock_for_reading(path: Path) -> Iterator[None]:
    """The lock for as long as somebody only looks; on a volume that cannot be written to, nobody else can change the file.

    KeystoreLockedError when a process uses the keystore.
    """
    if not _is_writable(path):
        yield
        return
    lock = KeystoreLock(path)
    try:
        yield
    finally:
        lock.release()


def _is_writable(path: Path) -> bool:
    read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return not read_only and (os.access(path.parent, os.W_OK) or os.access(lock_path(path), os.W_OK))


def _acquire(sidecar: Path) -> int:
    for _ in range(_ATTEMPTS):
        descriptor = _open_sidecar(sidecar)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(descriptor, sidecar):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise KeystoreLockedError(f"another process, or another part of this one, has locked {sidecar}") from None
        except OSError as error:
            os.close(descriptor)
            raise KeystoreIOError(f"cannot lock {sidecar}: {error.strerror}") from None
        os.close(descriptor)  # the holder before us removed the sidecar with its keystore: lock the new one
    raise KeystoreLockedError(f"the lock {sidecar} keeps changing hands")


def _open_sidecar(sidecar: Path) -> int:
    try:
        check_beside(sidecar)
        return os.open(sidecar, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise KeystoreIOError(f"cannot write to {sidecar.parent}: {error.strerror}") from None
        raise KeystoreIOError(f"cannot open {sidecar}: {error.strerror}") from None


def _is_current(descriptor: int, sidecar: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), sidecar.stat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path) -> Iterator[KeystoreLock]:
    """The lock, released again unless what is inside succeeds (then the keystore owns it)."""
    lock = KeystoreLock(path)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
