"""Where a keystore lies: its path resolved once, its files regular ones, and those that are open still those the path names.

A file that was replaced or removed under a running node would take commits that nobody finds again, each of them answered
as durable.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from hermes_core.errors import KeystoreIOError, KeystoreTamperedError

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
_CURE: Final = "find out who moves the keystore's files of a running node; then start it again"


def temporary_path(path: Path) -> Path:
    """Where a keystore is while it is being made or wiped; whatever lies there belongs to nobody."""
    return path.with_name(path.name + ".tmp")


def wal_path(path: Path) -> Path:
    """Where SQLite keeps its log."""
    return path.with_name(path.name + "-wal")


def floor_path(path: Path) -> Path:
    """Where a keystore's floor is (hermes_core.keystore.floor)."""
    return path.with_name(path.name + ".floor")


def resolve_path(path: Path) -> Path:
    """The keystore's path without links, so that everything beside it lies beside the file itself.

    KeystoreIOError for a link that leads nowhere: what it should lead to is not mounted yet, and must not be made anew.
    KeystoreTamperedError for a database that was moved away, behind a link, from the log or floor that lie where it was.
    """
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError):
        raise KeystoreIOError(f"{path} is a link that leads back to itself", cure="set the path to the file itself") from None
    if path.is_symlink() and not resolved.exists():
        nowhere = f"{path} is a symbolic link to {resolved}, which is not there"
        raise KeystoreIOError(nowhere, cure="mount what it leads to, or remove the link")
    if path.is_symlink():
        _check_left_behind(path, resolved)
    return resolved


def _check_left_behind(link: Path, resolved: Path) -> None:
    for beside in (wal_path(link), floor_path(link)):
        if os.path.lexists(beside):
            apart = f"{link} leads to {resolved}, and {beside.name} lies beside the link, where it counts for nothing"
            raise KeystoreTamperedError(apart, cure=f"move it to {resolved.parent}, or away if it is another keystore's")


def check_regular(path: Path, found: os.stat_result) -> None:
    """KeystoreIOError unless `found` is a regular file with one name, which not everybody may write.

    Its group may: kubelet makes it so for every file of a volume with an fsGroup, whatever the file had before.
    """
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "no regular file")
        cure = "set the path to the file itself, or move away what is in its place"
        raise KeystoreIOError(f"{path} is {kind}; a keystore's files are regular files", cure=cure)
    if found.st_nlink > 1:
        cure = "remove the other names (`find -samefile` shows them)"
        raise KeystoreIOError(f"{path} has {found.st_nlink} names, and a log of its own for each", cure=cure)
    if found.st_mode & stat.S_IWOTH:
        cure = "take that away (`chmod o-w`); on a volume that knows no modes, mount it with others (file_mode=0660, say)"
        raise KeystoreIOError(f"everybody may write {path}", cure=cure)


def check_beside(path: Path) -> None:
    """`check_regular` for a file beside the database, links not followed; absent is fine."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise KeystoreIOError(f"cannot read {path}: {error.strerror}") from None
    check_regular(path, found)


def close_to_others(*files: Path) -> None:
    """What a copy or an unpacked backup let everybody read is owner's and group's alone again, where that can be had."""
    for file in files:
        with contextlib.suppress(OSError):  # not there, not ours, or on a volume that knows no modes
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & stat.S_IRWXO:
                file.chmod(mode & ~stat.S_IRWXO)


class OpenFiles:
    """Which files are open, by device and inode. An inode is not given out again while somebody has it open."""

    def __init__(self, path: Path, log: Path) -> None:
        """`path` must be the file that is about to be opened; `pin_log` follows once its log is open."""
        self._log = log
        self._pinned = {path: _identify(path)}

    def pin_log(self) -> None:
        """The log is open. The database was opened since the construction: it is the file that was there before and is now."""
        self.check()
        self._pinned[self._log] = _identify(self._log)

    def check(self) -> None:
        """KeystoreIOError when a path names another file by now, or none, or the file has got another name."""
        for path, pinned in self._pinned.items():
            if _identify(path) != pinned:
                raise KeystoreIOError(f"{path} is not the file any more that is open, or got another name", cure=_CURE)


def _identify(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - twice a commit, and Path.stat takes three times as long
    except FileNotFoundError:
        raise KeystoreIOError(f"{path} was removed while it was open", cure=_CURE) from None
    except OSError as error:
        raise KeystoreIOError(f"cannot read {path}: {error.strerror}") from None
    return found.st_dev, found.st_ino, found.st_nlink
