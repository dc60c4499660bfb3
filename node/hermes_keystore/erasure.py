"""Erasing a keystore for good: it stops being one atomically, then its bytes are overwritten, then the file goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hermes_keystore.creation import remove_leftovers
from hermes_keystore.place import temporary_path
from hermes_keystore.wal import sync_file

_BLOCK: Final = bytes(1 << 20)


def erase_file(path: Path) -> None:
    """Remove the database at `path`, which nobody has open; a kill at any point leaves either a keystore or none.

    Overwriting reaches the file's own blocks on file systems that write in place; on others the passphrase-wrapped key is
    what an examiner finds, which is why the passphrase should go too.
    """
    doomed = temporary_path(path)
    remove_leftovers(path)
    path.rename(doomed)
    sync_file(path.parent)
    _overwrite(doomed)
    remove_leftovers(path)
    sync_file(path.parent)


def _overwrite(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(_BLOCK[:left])
        os.fsync(file.fileno())
