"""Runs in a mount namespace of its own, where it may mount a small tmpfs: fills it, or makes it read-only, under a keystore.

argv: 'full' or 'read-only', a mount point. Prints OK, or fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreError, KeystoreIOError
from hermes_keystore import Keystore, Table
from hermes_keystore.inspection import inspect_file
from tests.component.keystore.kit import CHEAP, PASSPHRASE, RECORDS, content, create, file_bytes, open_store, secret


def refuse(path: Path, error: type[KeystoreError], passphrase: bytes = PASSPHRASE) -> None:
    """The exact error, nothing changed."""
    before = file_bytes(path)
    with pytest.raises(KeystoreError) as caught:
        open_store(path, passphrase)
    assert type(caught.value) is error, repr(caught.value)
    assert file_bytes(path) == before


def fill(folder: Path) -> Path:
    """Leave not one block on the volume."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def full(folder: Path) -> None:
    path = folder / "keystore.db"
    store = create(path)
    store.close()
    store = open_store(path)
    filler = fill(folder)
    assert content(store) == RECORDS
    with pytest.raises(KeystoreIOError):
        store.commit({(Table.CHAT, b"one too many"): bytes(1 << 19)})
    for use in (lambda: store.commit({(Table.META, b"k"): b"v"}), store.rotate_generation, lambda: store.get(Table.META, b"")):
        with pytest.raises(KeystoreIOError, match="stopped"):
            use()
    store.close()
    with pytest.raises(KeystoreIOError):
        open_store(path)  # an opening is committed, or it is none
    filler.unlink()
    with open_store(path) as store:
        assert content(store) == RECORDS
        assert store.rollback is None
    fill(folder)
    other = folder / "other.db"
    with pytest.raises(KeystoreIOError):
        Keystore.create(other, secret(), argon2=CHEAP)
    assert not other.exists()
    (folder / "filler").unlink()
    Keystore.create(other, secret(), argon2=CHEAP).close()
    with open_store(path) as store:
        assert content(store) == RECORDS


def read_only(folder: Path) -> None:
    path = folder / "keystore.db"
    create(path).close()
    (folder / "keystore.db.lock").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    refuse(path, KeystoreIOError)
    assert inspect_file(path).records[Table.META, 1] == 1  # looking needs no lock where nobody can write
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    open_store(path).close()  # leaves the lock's sidecar, as a node does
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    refuse(path, KeystoreIOError)
    with pytest.raises(KeystoreIOError):
        Keystore.create(folder / "other.db", secret(), argon2=CHEAP)


def main(what: str, mount_point: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=768k", "none", mount_point], check=True)
    {"full": full, "read-only": read_only}[what](Path(mount_point))
    sys.stdout.write("OK\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
