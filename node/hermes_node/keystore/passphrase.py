"""The passphrase of the keystore, from a file or the environment, in memory that is wiped."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import ConfigError
from hermes_node.config.sources import PASSPHRASE_ENV

MAX_PASSPHRASE_BYTES: Final = 4096


def read_passphrase(path: str, environment: MutableMapping[str, str]) -> SecretBytes:
    """From `path` when it is set, else from HERMES_KEYSTORE_PASSPHRASE, which is removed from the environment.

    ConfigError names the setting. The environment's copy cannot be wiped; prefer the file.
    """
    text = environment.pop(PASSPHRASE_ENV, None)
    if path:
        return _read_file(path)
    if not text:
        raise ConfigError("keystore.passphrase_file", f"is required (or set {PASSPHRASE_ENV})")
    return _check(bytearray(os.fsencode(text)), PASSPHRASE_ENV)


def _read_file(path: str) -> SecretBytes:
    buffer = bytearray(MAX_PASSPHRASE_BYTES + 2)
    try:
        with Path(path).open("rb", buffering=0) as stream:
            length = stream.readinto(buffer) or 0
    except OSError as error:
        raise ConfigError("keystore.passphrase_file", f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    for ending in (b"\r\n", b"\n"):
        if buffer[:length].endswith(ending):
            length -= len(ending)
            break
    secret = bytearray(length)
    memoryview(secret)[:] = memoryview(buffer)[:length]
    wipe_buffer(buffer)
    return _check(secret, path)


def _check(secret: bytearray, source: str) -> SecretBytes:
    if not 0 < len(secret) <= MAX_PASSPHRASE_BYTES:
        wipe_buffer(secret)
        raise ConfigError("keystore.passphrase_file", f"{source} must hold 1 to {MAX_PASSPHRASE_BYTES} bytes")
    return SecretBytes.take(secret)
