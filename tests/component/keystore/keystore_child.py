"""A process that uses a keystore and stops at every stage, for its parent to scan its memory.

argv: path, 'wipe' or 'keep'. The parent sends the passphrase on the first line of stdin and a line to go on; each stage is
announced on stdout. No key is ever told: the parent computes them from the file with the independent reference.
"""

from __future__ import annotations

import os
import sys

from hermes_core.crypto import secret
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreError
from hermes_keystore import Keystore, Table


def stage(word: str) -> None:
    """Say where we are and wait for the parent."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()
    os.read(0, 1)


def read_passphrase() -> SecretBytes:
    """The passphrase, read straight into its own buffer: a buffered reader would keep a copy."""
    raw = bytearray(64)
    if os.readv(0, [raw]) != len(raw):
        raise SystemExit("the parent sends 64 bytes at once")
    return SecretBytes.take(raw)


def touch_records(store: Keystore) -> None:
    """Load every record, write it back, wipe it."""
    for table in Table:
        for key, value in store.load(table):
            store.commit({(table, key): value})
            wipe_buffer(value)


def main(path: str, wiping: str) -> None:
    secret._wiping_enabled = wiping == "wipe"
    passphrase = read_passphrase()
    store = Keystore.open(path, passphrase)
    touch_records(store)
    stage("open")
    store.rotate_generation()
    touch_records(store)
    stage("rotated")
    store.rotate_passphrase(passphrase, argon2=Argon2Params(8192, 1, 1))
    passphrase.wipe()
    stage("rewrapped")
    store.close()
    stage("closed")
    wrong = SecretBytes.take(bytearray(b"wrong" * 10))
    try:
        Keystore.open(path, wrong)
    except KeystoreError:
        wrong.wipe()
    stage("refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
