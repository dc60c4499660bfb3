"""What wraps the master key: a passphrase here; an HSM or a KMS by implementing the same two functions."""

from __future__ import annotations

import struct
from typing import Final, Protocol

from hermes_core.crypto.kdf_argon2 import SALT_BYTES, Argon2Params, derive_master_key
from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import (
    KeystoreBadPassphraseError,
    KeystoreError,
    KeystoreTamperedError,
    KeystoreTooCostlyError,
)
from hermes_core.keystore.keys import KEY_BYTES

MAX_WRAPPED_BYTES: Final = 1024
PASSPHRASE_BACKEND_ID: Final = 1
MAX_COST_FACTOR: Final = 4
"""A header may ask for so many times the configured memory, and the configured work (memory times passes)."""

_COSTS: Final = struct.Struct(f">IIB{SALT_BYTES}s")
_WRAPPED_BYTES: Final = _COSTS.size + NONCE_BYTES + KEY_BYTES + TAG_BYTES


class KeyBackend(Protocol):
    """Wraps and unwraps a master key of 32 bytes.

    `context` names the file and must be authenticated with the key. `wrapped` is at most 1,024 bytes and carries whatever
    the backend needs to unwrap again (costs and salt; a key's name in a KMS). It comes from the file: check it before use.
    `random` is for salts and nonces; a backend with a generator of its own (an HSM) leaves it.
    `unwrap` raises KeystoreBadPassphraseError when the backend's secret does not open it, KeystoreTamperedError when the
    blob cannot be right. Ids 1 to 127 are Hermes', 128 to 255 free for others.
    """

    @property
    def backend_id(self) -> int: ...

    def wrap(self, master: SecretBytes, context: bytes, random: RandomSource) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes: ...


class PassphraseBackend:
    """Argon2id of a passphrase wraps the master key: u32 KiB ‖ u32 passes ‖ u8 lanes ‖ salt(16) ‖ nonce(24) ‖ box(48)."""

    backend_id: Final = PASSPHRASE_BACKEND_ID

    def __init__(self, passphrase: SecretBytes, costs: Argon2Params | None = None, any_cost: bool = False) -> None:
        """`passphrase` stays the caller's to wipe; `costs` are what `wrap` pays.

        `unwrap` pays the file's: MAX_COST_FACTOR times these at most, unless `any_cost`.
        """
        self._passphrase = passphrase
        self._costs = costs or Argon2Params()
        self._any_cost = any_cost

    def wrap(self, master: SecretBytes, context: bytes, random: RandomSource) -> bytes:
        costs = self._costs
        salt = generate_bytes(SALT_BYTES, random)
        head = _COSTS.pack(costs.memory_kib, costs.time_cost, costs.lanes, salt)
        kek = self._derive(salt, costs)
        nonce = generate_bytes(NONCE_BYTES, random)  # the key is new with every salt, so any nonce would do
        box = seal_xchacha(kek, nonce, master.buffer, context + head)
        kek.wipe()
        return head + nonce + box

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        costs, salt = parse_costs(wrapped)
        if not self._any_cost:
            _check_costs(costs, self._costs)
        kek = self._derive(salt, costs)
        head, nonce = wrapped[: _COSTS.size], wrapped[_COSTS.size : _COSTS.size + NONCE_BYTES]
        try:
            return SecretBytes.take(open_xchacha(kek, nonce, wrapped[_COSTS.size + NONCE_BYTES :], context + head))
        except InvalidTagError:
            raise KeystoreBadPassphraseError("the passphrase does not open this keystore") from None
        finally:
            kek.wipe()

    def _derive(self, salt: bytes, costs: Argon2Params) -> SecretBytes:
        try:
            return derive_master_key(self._passphrase, salt, costs)
        except MemoryError:
            raise KeystoreError(f"Argon2id needs {costs.memory_kib} KiB of memory, which cannot be had here") from None


def _check_costs(asked: Argon2Params, configured: Argon2Params) -> None:
    """Nothing of a header is authentic before its costs are paid: who can write the file must not spend a node's memory."""
    memory_kib, work = configured.memory_kib, configured.memory_kib * configured.time_cost
    if asked.memory_kib > MAX_COST_FACTOR * memory_kib or asked.memory_kib * asked.time_cost > MAX_COST_FACTOR * work:
        raise KeystoreTooCostlyError(
            f"the keystore asks for {asked.memory_kib} KiB and {asked.time_cost} passes of Argon2id; configured are"
            f" {memory_kib} KiB and {configured.time_cost}, and {MAX_COST_FACTOR} times that is the most"
        )


def parse_costs(wrapped: bytes) -> tuple[Argon2Params, bytes]:
    """Argon2 costs and salt of a wrapped key, refused out of bounds before a byte of memory is spent on them."""
    if len(wrapped) != _WRAPPED_BYTES:
        raise KeystoreTamperedError("the wrapped master key has a wrong size")
    memory_kib, time_cost, lanes, salt = _COSTS.unpack_from(wrapped)
    try:
        return Argon2Params(memory_kib, time_cost, lanes), salt
    except ValueError as error:
        raise KeystoreTamperedError(f"the header's Argon2 parameters are out of bounds: {error}") from None
