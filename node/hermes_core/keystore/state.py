"""The sealed state row: commit counter, number of rows, set digest, and which header belongs to it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore import labels
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.set_digest import DIGEST_BYTES

_LAYOUT: Final = struct.Struct(f">QQ{DIGEST_BYTES}s32s")
_AAD: Final = struct.Struct(f">{len(labels.STATE)}s16sQ")
SEALED_STATE_BYTES: Final = NONCE_BYTES + _LAYOUT.size + TAG_BYTES


@dataclass(frozen=True, slots=True)
class KeystoreMark:
    """Where a keystore stands; both numbers only ever rise, so a lower one is a rollback."""

    generation: int
    commit_counter: int


@dataclass(frozen=True, slots=True)
class KeystoreState:
    """Sealed anew by every commit, in the same transaction. `header_hash` is the fingerprint of the header it belongs to."""

    commit_counter: int
    record_count: int
    set_digest: int
    header_hash: bytes


def seal_state(keys: GenerationKeys, state: KeystoreState, random: RandomSource) -> bytes:
    """nonce(24) ‖ box of u64(counter) ‖ u64(rows) ‖ set digest(32) ‖ header hash(32): 120 bytes."""
    digest = state.set_digest.to_bytes(DIGEST_BYTES, "big")
    plaintext = _LAYOUT.pack(state.commit_counter, state.record_count, digest, state.header_hash)
    nonce = generate_bytes(NONCE_BYTES, random)  # 192 random bits: cannot repeat in practice (xaead.py)
    return nonce + seal_xchacha(keys.state, nonce, plaintext, _aad(keys))


def open_state(keys: GenerationKeys, sealed: bytes) -> KeystoreState:
    """KeystoreTamperedError unless `sealed` is a state of this file and generation."""
    if len(sealed) != SEALED_STATE_BYTES:
        raise KeystoreTamperedError("the keystore's state has a wrong size")
    try:
        plaintext = open_xchacha(keys.state, sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _aad(keys))
    except InvalidTagError:
        raise KeystoreTamperedError("the keystore's state is not authentic") from None
    counter, count, digest, header_hash = _LAYOUT.unpack(plaintext)
    wipe_buffer(plaintext)
    return KeystoreState(counter, count, int.from_bytes(digest, "big"), header_hash)


def _aad(keys: GenerationKeys) -> bytes:
    return _AAD.pack(labels.STATE, keys.file_id, keys.generation)
