"""Watching what frames are sealed with: a ledger that knows keys tells a position used twice from one under other keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hermes_core.crypto.aead import KEY_BYTES
from hermes_core.crypto.sodium import ffi
from hermes_core.ratchet import channel
from tests.model.ledger import Ledger


@contextmanager
def watch_seals(ledger: Ledger) -> Iterator[None]:
    """Record the key and the nonce that every frame is sealed with."""
    where: Any = channel
    plain_seal = where.seal_frame

    def seal_frame(key: Any, nonce: bytes, header: bytes, plaintext: bytes, aad: bytes) -> bytes:
        frame: bytes = plain_seal(key, nonce, header, plaintext, aad)
        ledger.note_seal(ffi.buffer(key, KEY_BYTES)[:], nonce, frame)
        return frame

    where.seal_frame = seal_frame
    try:
        yield
    finally:
        where.seal_frame = plain_seal
