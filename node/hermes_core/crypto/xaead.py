"""XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) for records at rest: random 24-byte nonces, sealed and opened in buffers we own.

A random nonce of 192 bits cannot repeat in practice: 2^80 boxes under one key leave a chance of about 2^-32.
"""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.sodium import Bytes, ffi, lib, pointer
from hermes_core.errors import HermesError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16

_encrypt: Final = lib.crypto_aead_xchacha20poly1305_ietf_encrypt
_decrypt: Final = lib.crypto_aead_xchacha20poly1305_ietf_decrypt
_NULL: Final = ffi.NULL


class InvalidTagError(HermesError):
    """The box was not sealed with this key, nonce and associated data."""


def seal_xchacha(key: SecretBytes, nonce: bytes, plaintext: Bytes, aad: bytes) -> bytearray:
    """Ciphertext ‖ tag (len(plaintext) + 16 bytes). `nonce` is 24 fresh random bytes; the caller stores it with the box."""
    _check_sizes(key, nonce)
    sealed = bytearray(len(plaintext) + TAG_BYTES)
    _encrypt(pointer(sealed), _NULL, pointer(plaintext), len(plaintext), aad, len(aad), _NULL, nonce, pointer(key.buffer))
    return sealed


def seal_xchacha_in_place(key: SecretBytes, nonce: bytes, buffer: bytearray, aad: bytes) -> None:
    """Replace a plaintext followed by 16 spare bytes with its ciphertext ‖ tag; no plaintext stays behind."""
    _check_sizes(key, nonce)
    length = len(buffer) - TAG_BYTES
    if length < 0:
        raise ValueError("the buffer needs 16 spare bytes for the tag")
    view = pointer(buffer)
    _encrypt(view, _NULL, view, length, aad, len(aad), _NULL, nonce, pointer(key.buffer))


def open_xchacha(key: SecretBytes, nonce: bytes, sealed: Bytes, aad: bytes) -> bytearray:
    """The plaintext of a box (ciphertext ‖ tag), in a buffer the caller wipes; InvalidTagError when it is not authentic."""
    _check_sizes(key, nonce)
    length = len(sealed) - TAG_BYTES
    if length < 0:
        raise InvalidTagError("box is shorter than its tag")
    plaintext = bytearray(length)
    if _decrypt(pointer(plaintext), _NULL, _NULL, pointer(sealed), len(sealed), aad, len(aad), nonce, pointer(key.buffer)):
        wipe_buffer(plaintext)
        raise InvalidTagError("box is not authentic")
    return plaintext


def _check_sizes(key: SecretBytes, nonce: bytes) -> None:
    if len(key.buffer) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("XChaCha20-Poly1305 takes a key of 32 bytes and a nonce of 24")
