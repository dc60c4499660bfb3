"""Subkeys: one keyed BLAKE2b (RFC 7693) per purpose, computed straight into a buffer that is wiped."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import RandomSource, generate_secret
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi, lib, pointer
from hermes_core.keystore import labels
from hermes_core.values import dataclass

KEY_BYTES: Final = 32
_blake2b: Final = lib.crypto_generichash_blake2b_salt_personal


def generate_key(random: RandomSource) -> SecretBytes:
    """32 random bytes."""
    return generate_secret(KEY_BYTES, random)


def derive_subkey(parent: SecretBytes, label: bytes) -> SecretBytes:
    """BLAKE2b-256(key = parent, message = label): 32 bytes, written in place."""
    subkey = SecretBytes(KEY_BYTES)
    _hash_into(subkey.buffer, label, parent.buffer)
    _hash_into(bytearray(KEY_BYTES), label, bytearray(KEY_BYTES))  # overwrites what the first call left on the C stack
    return subkey


def _hash_into(out: bytearray, message: bytes, key: bytearray) -> None:
    _blake2b(pointer(out), len(out), message, len(message), pointer(key), len(key), ffi.NULL, ffi.NULL)


@dataclass(slots=True)
class MasterKeys:
    """The master key's subkeys, which protect the header."""

    seal: SecretBytes
    mac: SecretBytes

    @classmethod
    def derive(cls, master: SecretBytes) -> MasterKeys:
        return cls(derive_subkey(master, labels.HEADER_SEAL), derive_subkey(master, labels.HEADER_MAC))

    def wipe(self) -> None:
        self.seal.wipe()
        self.mac.wipe()


@dataclass(slots=True)
class GenerationKeys:
    """A generation and its key's subkeys, which protect records, their keys on disk, the state and the set of rows."""

    file_id: bytes
    generation: int
    record: SecretBytes
    state: SecretBytes
    row_key: SecretBytes
    set_digest: SecretBytes

    @classmethod
    def derive(cls, file_id: bytes, generation: int, key: SecretBytes) -> GenerationKeys:
        return cls(
            file_id,
            generation,
            record=derive_subkey(key, labels.RECORD),
            state=derive_subkey(key, labels.STATE),
            row_key=derive_subkey(key, labels.ROW_KEY),
            set_digest=derive_subkey(key, labels.SET_DIGEST),
        )

    def wipe(self) -> None:
        for key in (self.record, self.state, self.row_key, self.set_digest):
            key.wipe()
