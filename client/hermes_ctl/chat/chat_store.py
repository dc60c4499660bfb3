"""The store of `hermesctl chat`: a directory and a passphrase; what is wrong with either is one line with the cure."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hermes_client import AppStore
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ConfigError, KeystoreBadPassphraseError, KeystoreLockedError
from hermes_ctl.errors import CtlError
from hermes_node.core_dumps import forbid_core_dumps
from hermes_node.keystore.passphrase import read_passphrase, take_passphrase

FILE_NAME: Final = "app.db"


def make_store(folder: Path, passphrase_file: Path | None) -> AppStore:
    """Make the folder if there is none, and read the passphrase: from the file, or asked for, twice for a new store."""
    forbid_core_dumps()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CtlError(f"--store {folder}: {error.strerror}; give a directory that can be written") from None
    passphrase = _read_passphrase(passphrase_file, twice=not (folder / FILE_NAME).exists())
    try:
        return AppStore(folder / FILE_NAME, passphrase)
    finally:
        passphrase.wipe()


@contextmanager
def with_cures(folder: Path) -> Iterator[None]:
    """The keystore's errors, with what helps here."""
    try:
        yield
    except KeystoreBadPassphraseError:
        cure = "give the one it was made with (--passphrase-file, or typed when asked)"
        raise KeystoreBadPassphraseError(f"the passphrase does not open the store {folder}", cure=cure) from None
    except KeystoreLockedError:
        cure = "end that one, or give another --store: one process, one store"
        raise KeystoreLockedError(f"another process has the store {folder} open", cure=cure) from None


def _read_passphrase(path: Path | None, *, twice: bool) -> SecretBytes:
    if path is not None:
        try:
            return read_passphrase(str(path), {})
        except ConfigError as error:
            raise CtlError(f"--passphrase-file: {error.problem}") from None
    if not sys.stdin.isatty():
        raise CtlError("the store's passphrase is needed: give --passphrase-file")
    typed = getpass.getpass("passphrase of the store: ")
    if twice and getpass.getpass("once more, it is a new one: ") != typed:
        raise CtlError("the two do not match; nothing was made")
    try:
        return take_passphrase(bytearray(os.fsencode(typed)), "the passphrase")
    except ConfigError as error:
        raise CtlError(error.problem) from None
