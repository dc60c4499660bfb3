"""Crash images: SQLite on a file system that writes down every write, truncate and sync, and the disks a crash could leave.

APSW lets Python implement the file system under SQLite, so no tracer or kernel feature is needed. The keystore's own file
operations (rename, fsync) are recorded through `Recorder.patch`.

Disk model: what was synced is there. Of what was written since, any subset may be there, and a write may be torn at a sector.
Directory entries (creation, rename, removal) are durable once the directory is synced, in order before that; syncing a new
write-ahead log syncs its entry, as SQLite's unix VFS does.
"""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from hermes_keystore import atomic_file, creation, erasure, wal
from hermes_keystore.database import connect_sqlite
from tests.support.apsw_connection import ApswConnection

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Op:
    """One operation on the disk: create, write, truncate, sync, remove, rename, sync-folder."""

    kind: str
    name: str
    offset: int = 0
    data: bytes = b""
    target: str = ""


@dataclass
class Inode:
    """A file: what is durable, and the writes and truncates since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)


class Recorder:
    """Records the operations of one folder; `connect` is the keystore's connector."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ops: list[Op] = []
        self._vfs = _RecordingVfs(self)

    def connect(self, uri: str) -> sqlite3.Connection:
        """Writers go through the recording file system; what only reads has nothing to record."""
        if "mode=ro" in uri:
            return connect_sqlite(uri)
        return ApswConnection(f"{uri}&vfs={self._vfs.name}")  # type: ignore[return-value]

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Record the keystore's own fsyncs and renames too."""
        really_sync, really_rename, really_write = wal.sync_file, Path.rename, atomic_file.write_draft
        really_overwrite = atomic_file.overwrite

        def sync_file(path: Path) -> None:
            really_sync(path)
            self.add("sync-folder" if path.is_dir() else "sync", path)

        def rename(path: Path, target: Path) -> Path:
            self.ops.append(Op("rename", path.name, target=target.name))
            return really_rename(path, target)

        def write_draft(path: Path, data: bytes) -> None:
            really_write(path, data)
            self.add("create", path)  # a draft is a new file each time: the one before was renamed
            self.add("write", path, 0, data)

        for module in (wal, creation, erasure, atomic_file):
            monkeypatch.setattr(module, "sync_file", sync_file)

        def overwrite(path: Path, offset: int, data: bytes) -> None:
            really_overwrite(path, offset, data)
            self.add("write", path, offset, data)

        monkeypatch.setattr(atomic_file, "write_draft", write_draft)
        monkeypatch.setattr(atomic_file, "overwrite", overwrite)
        monkeypatch.setattr(Path, "rename", rename)

    def add(self, kind: str, path: str | Path, offset: int = 0, data: bytes = b"") -> None:
        if Path(path).parent == self.folder or Path(path) == self.folder:
            self.ops.append(Op(kind, Path(path).name, offset, data))

    def close(self) -> None:
        self._vfs.unregister()


class _RecordingVfs(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.name = f"recording-{id(recorder)}"
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _RecordingFile:  # noqa: N802 - APSW's name
        return _RecordingFile(self.recorder, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - APSW's name
        self.recorder.add("remove", filename)
        super().xDelete(filename, syncdir)
        if syncdir:
            self.recorder.add("sync-folder", self.recorder.folder)


class _RecordingFile(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        self._recorder = recorder
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if not Path(self._path).exists():
            recorder.add("create", self._path)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        self._recorder.add("write", self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        self._recorder.add("truncate", self._path, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        super().xSync(flags)
        self._recorder.add("sync", self._path)


class Disk:
    """The disk after some operations, from which crash images are drawn."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        """`files` are there, durably, before the first operation."""
        self._names = {name: Inode(bytearray(data)) for name, data in (files or {}).items()}  # as a running process sees them
        self._durable_names = self._names
        self._pending_folders: list[dict[str, Inode]] = []  # the folder after each entry change that is not durable yet

    def apply(self, op: Op) -> None:
        match op.kind:
            case "create":
                self._change_folder(self._names | {op.name: Inode()})
            case "remove":
                self._change_folder({name: inode for name, inode in self._names.items() if name != op.name})
            case "rename":
                rest = {name: inode for name, inode in self._names.items() if name != op.name}
                self._change_folder(rest | {op.target: self._names[op.name]})
            case "sync-folder":
                self._sync_folder()
            case "sync":
                inode = self._names.get(op.name)
                if inode is not None:
                    inode.durable, inode.pending = _applied(inode.durable, inode.pending), []
                    if op.name.endswith("-wal"):
                        self._sync_folder()
            case "write" | "truncate":
                if op.name not in self._names:  # created empty by the keystore itself
                    self._change_folder(self._names | {op.name: Inode()})
                self._names[op.name].pending.append(op)

    def kill_image(self) -> dict[str, bytes]:
        """What a killed process leaves: everything it wrote."""
        return {name: bytes(_applied(inode.durable, inode.pending)) for name, inode in self._names.items()}

    def power_loss_image(self, rng: random.Random, kept: float) -> dict[str, bytes]:
        """What a power cut may leave: each unsynced write with probability `kept`, some of them torn."""
        folders = [self._durable_names, *self._pending_folders]
        image = {}
        for name, inode in rng.choice(folders).items():
            survivors = [_torn(op, rng) for op in inode.pending if rng.random() < kept]
            image[name] = bytes(_applied(inode.durable, survivors))
        return image

    def _change_folder(self, names: dict[str, Inode]) -> None:
        self._names = names
        self._pending_folders.append(names)

    def _sync_folder(self) -> None:
        self._durable_names, self._pending_folders = self._names, []


def _applied(content: bytearray, ops: list[Op]) -> bytearray:
    result = bytearray(content)
    for op in ops:
        if op.kind == "truncate":
            del result[op.offset :]
            result.extend(bytes(op.offset - len(result)))
        else:
            end = op.offset + len(op.data)
            result.extend(bytes(max(0, end - len(result))))
            result[op.offset : end] = op.data
    return result


def _torn(op: Op, rng: random.Random) -> Op:
    if op.kind != "write" or len(op.data) <= SECTOR_BYTES or rng.random() < 0.7:
        return op
    return Op("write", op.name, op.offset, op.data[: SECTOR_BYTES * rng.randrange(1, -(-len(op.data) // SECTOR_BYTES))])
