"""The sealed state row: commit counter, number of rows, set digest, and which header belongs to it.

While a rotation runs, rows and digest of the former generation stand beside those of the current one, whose key seals both.
"""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore import labels
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.set_digest import DIGEST_BYTES
from hermes_core.values import dataclass

_LAYOUT: Final = struct.Struct(f">QQ{DIGEST_BYTES}s32s")
_FORMER: Final = struct.Struct(f">Q{DIGEST_BYTES}s")
_AAD: Final = struct.Struct(f">{len(labels.STATE)}s16sQ")
_OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES
SEALED_STATE_BYTES: Final = _LAYOUT.size + _OVERHEAD_BYTES
SEALED_TWO_STATES_BYTES: Final = SEALED_STATE_BYTES + _FORMER.size


@dataclass(frozen=True, slots=True)
class KeystoreMark:
    """Where a keystore stands; both numbers only ever rise, so a lower one is a rollback."""

    generation: int
    commit_counter: int


@dataclass(frozen=True, slots=True)
class RowSet:
    """The rows of one generation: how many, and their set digest (an integer below 2^256)."""

    count: int
    digest: int


@dataclass(frozen=True, slots=True)
class KeystoreState:
    """Sealed anew by every commit, in the same transaction. `header_hash` is the fingerprint of the header it belongs to.

    `former`: what is not sealed anew yet, while a rotation runs.
    """

    commit_counter: int
    rows: RowSet
    header_hash: bytes
    former: RowSet | None = None


def seal_state(keys: GenerationKeys, state: KeystoreState, random: RandomSource) -> bytes:
    """nonce(24) ‖ box of u64(counter) ‖ u64(rows) ‖ set digest(32) ‖ header hash(32): 120 bytes.

    With a former generation its u64(rows) ‖ set digest(32) follow inside: 160 bytes. `keys` are the current generation's.
    """
    rows, former = state.rows, state.former
    plaintext = _LAYOUT.pack(state.commit_counter, rows.count, rows.digest.to_bytes(DIGEST_BYTES, "big"), state.header_hash)
    if former is not None:
        plaintext += _FORMER.pack(former.count, former.digest.to_bytes(DIGEST_BYTES, "big"))
    nonce = generate_bytes(NONCE_BYTES, random)  # 192 random bits: cannot repeat in practice (xaead.py)
    return nonce + seal_xchacha(keys.state, nonce, plaintext, _aad(keys, former is not None))


def open_state(keys: GenerationKeys, sealed: bytes) -> KeystoreState:
    """KeystoreTamperedError unless `sealed` is a state of this file and generation."""
    if len(sealed) not in {SEALED_STATE_BYTES, SEALED_TWO_STATES_BYTES}:
        raise KeystoreTamperedError("the keystore's state has a wrong size")
    has_former = len(sealed) == SEALED_TWO_STATES_BYTES
    try:
        plaintext = open_xchacha(keys.state, sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _aad(keys, has_former))
    except InvalidTagError:
        raise KeystoreTamperedError("the keystore's state is not authentic") from None
    counter, count, digest, header_hash = _LAYOUT.unpack_from(plaintext)
    rows, former = RowSet(count, int.from_bytes(digest, "big")), None
    if has_former:
        former_count, former_digest = _FORMER.unpack_from(plaintext, _LAYOUT.size)
        former = RowSet(former_count, int.from_bytes(former_digest, "big"))
    wipe_buffer(plaintext)
    return KeystoreState(counter, rows, header_hash, former)


def _aad(keys: GenerationKeys, has_former: bool) -> bytes:
    return _AAD.pack(labels.TWO_STATES if has_former else labels.STATE, keys.file_id, keys.generation)
