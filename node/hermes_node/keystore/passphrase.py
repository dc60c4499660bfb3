"""The passphrase of the keystore, from a file, a pipe, the environment or a terminal, in memory that is wiped."""

from __future__ import annotations

import codecs
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import ConfigError
from hermes_node.config.file_modes import refuse_writable
from hermes_node.config.sources import PASSPHRASE_ENV

MAX_PASSPHRASE_BYTES: Final = 4096
_FIELD: Final = "keystore.passphrase_file"
_LINE_ENDS: Final = (b"\r\n", b"\n")
_LONGEST: Final = MAX_PASSPHRASE_BYTES + max(map(len, _LINE_ENDS))
_MARKS: Final = (
    (codecs.BOM_UTF8, "begins with a byte order mark"),
    (codecs.BOM_UTF16_LE, "is UTF-16"),
    (codecs.BOM_UTF16_BE, "is UTF-16"),
)
_AS_PLAIN: Final = "save it as plain UTF-8 without a byte order mark (`printf %s 'the passphrase' > FILE`)"


def read_passphrase(path: str, environment: MutableMapping[str, str]) -> SecretBytes:
    """From `path` when it is set, else from HERMES_KEYSTORE_PASSPHRASE, which is removed from the environment.

    A pipe is read to its end, a file that everybody may write is refused. ConfigError names the setting. The environment's copy
    cannot be wiped; prefer the file.
    """
    text = environment.pop(PASSPHRASE_ENV, None)
    if path:
        return take_passphrase(_read_file(path), path)
    if not text:
        raise ConfigError(_FIELD, f"is required (or set {PASSPHRASE_ENV})")
    return take_passphrase(bytearray(os.fsencode(text)), PASSPHRASE_ENV)


def take_passphrase(found: bytearray, source: str) -> SecretBytes:
    """One rule wherever it came from: a line end is dropped, and what an editor or a shell may have done to it is refused.

    Wipes `found`. ConfigError says what is wrong with `source` and how to cure it; never a byte of it.
    """
    length = len(found)
    ending = next((ending for ending in _LINE_ENDS if found.endswith(ending)), b"")
    try:
        problem = _find_problem(found, length - len(ending))
        if problem:
            raise ConfigError(_FIELD, f"{source} {problem}")
        return SecretBytes.copy_of(memoryview(found)[: length - len(ending)])
    finally:
        wipe_buffer(found)


def _find_problem(found: bytearray, length: int) -> str | None:
    for mark, name in _MARKS:
        if found.startswith(mark):
            return f"{name}: {_AS_PLAIN}"
    if not 0 < length <= MAX_PASSPHRASE_BYTES:
        return f"must hold 1 to {MAX_PASSPHRASE_BYTES} bytes besides one line end"
    if found.find(b"\0", 0, length) >= 0:
        return f"holds a NUL, as UTF-16 does: {_AS_PLAIN}"
    if found.find(b"\n", 0, length) >= 0 or found.find(b"\r", 0, length) >= 0:
        return "has more than one line: it must be the passphrase alone, on one line"
    return None


def _read_file(path: str) -> bytearray:
    """Everything there is, up to one byte more than can be right; the caller wipes it."""
    buffer = bytearray(_LONGEST + 1)
    length = 0
    try:
        refuse_writable(Path(path).stat(), path, _FIELD)
        with Path(path).open("rb", buffering=0) as stream:
            while length < len(buffer):
                more = stream.readinto(memoryview(buffer)[length:])
                if not more:
                    break
                length += more
    except OSError as error:
        wipe_buffer(buffer)
        raise ConfigError(_FIELD, f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    found = bytearray(length)
    memoryview(found)[:] = memoryview(buffer)[:length]
    wipe_buffer(buffer)
    return found
