"""What the keystore's component tests share: a cheap key backend, a filled keystore, and bytes of its files to compare."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes
from hermes_core.keystore.key_backend import PassphraseBackend
from hermes_keystore import Keystore, KeystoreMark, Table

CHEAP = Argon2Params(8192, 1, 1)
PASSPHRASE = b"correct horse battery staple"

RECORDS: dict[tuple[Table, bytes], bytes] = {
    (Table.IDENTITY, b"seed"): b"\x11" * 32,
    (Table.CHAT, b"chat-one"): b"\x02" + b"one " * 60,
    (Table.CHAT, b"chat-two"): b"\x02" + b"two " * 60,
    (Table.TOMBSTONE, b"chat-old"): b"\x01gone",
    (Table.META, b""): b"",
}


def secret(data: bytes = PASSPHRASE) -> SecretBytes:
    return SecretBytes.take(bytearray(data))


class MemoBackend(PassphraseBackend):
    """The passphrase backend, paying Argon2 once per salt and costs: for tests that open a file thousands of times."""

    _derived: dict[tuple[bytes, bytes, Argon2Params], bytes] = {}  # noqa: RUF012 - shared on purpose

    def _derive(self, salt: bytes, costs: Argon2Params) -> SecretBytes:
        place = (bytes(self._passphrase.buffer), salt, costs)
        if place not in self._derived:
            derived = super()._derive(salt, costs)  # a name of its own: a temporary would be wiped before it is copied
            self._derived[place] = bytes(derived.buffer)
        return secret(self._derived[place])


def memo_backend(passphrase: bytes = PASSPHRASE) -> MemoBackend:
    return MemoBackend(secret(passphrase), CHEAP)


def create(path: Path, *, page_bytes: int = 1024) -> Keystore:
    """A new keystore that holds RECORDS."""
    store = Keystore.create(path, secret(), argon2=CHEAP, page_bytes=page_bytes)
    store.commit(RECORDS)
    return store


def open_store(path: Path, passphrase: bytes = PASSPHRASE) -> Keystore:
    return Keystore.open(path, secret(passphrase))


def found_at(store: Keystore) -> KeystoreMark:
    """Where the keystore stood when it was found, before this opening's own commits."""
    return KeystoreMark(store.mark.generation, store._begun.found)


def content(store: Keystore) -> dict[tuple[Table, bytes], bytes]:
    """Everything a keystore holds for others; of its own history only the keystore speaks."""
    return {(table, key): bytes(value) for table in Table if table is not Table.HISTORY for key, value in store.load(table)}


def content_at(path: Path, passphrase: bytes = PASSPHRASE) -> dict[tuple[Table, bytes], bytes]:
    with open_store(path, passphrase) as store:
        return content(store)


def file_bytes(path: Path) -> dict[str, bytes]:
    """Database and every sidecar but the lock, by name."""
    lock = path.name + ".lock"
    return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir()) if file.is_file() and file.name != lock}


def copy_files(path: Path, to: Path) -> Path:
    """The files as a crash at this moment would leave them (the page cache survives a killed process); the new path."""
    to.mkdir()
    for file in path.parent.iterdir():
        if file.name.startswith(path.name) and not file.name.endswith(".lock"):
            shutil.copyfile(file, to / file.name)
    return to / path.name


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """No byte of the keystore's files differs afterwards, and none appeared or went."""
    before = file_bytes(path)
    yield
    assert file_bytes(path) == before
