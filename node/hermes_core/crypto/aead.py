"""ChaCha20-Poly1305 (RFC 8439) for frames: the message key is read where it lies, and never copied into Python objects."""

from __future__ import annotations

from typing import Any, Final

from hermes_core.crypto.sodium import ffi as _ffi
from hermes_core.crypto.sodium import lib
from hermes_core.errors import ErrorCode, ProtocolError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_encrypt: Final = lib.crypto_aead_chacha20poly1305_ietf_encrypt
_decrypt: Final = lib.crypto_aead_chacha20poly1305_ietf_decrypt
_pointer: Final = _ffi.from_buffer
_NULL: Final = _ffi.NULL

# A message key seals exactly one frame: a chain hands out each position once, and a reserved position is durable before
# it is used. So the nonce cannot repeat under a key, and is fixed.
_NONCE: Final = bytes(NONCE_BYTES)


def seal_frame(key: Any, header: bytes, plaintext: bytes, aad: bytes, *, nonce: bytes = _NONCE) -> bytes:
    """Header ‖ ciphertext ‖ tag. `key` is a C pointer to the 32 bytes of a message key that is wiped after this call.

    Only conformance tests give another nonce (12 bytes).
    """
    if nonce is not _NONCE:
        _check_nonce(nonce)
    sealed = bytearray(len(plaintext) + TAG_BYTES)
    _encrypt(_pointer(sealed), _NULL, plaintext, len(plaintext), aad, len(aad), _NULL, nonce, key)
    return header + sealed


def open_frame(key: Any, frame: bytes, header_bytes: int, aad: bytes, *, nonce: bytes = _NONCE) -> bytes:
    """The plaintext behind the header. AUTH_FAILED when the tag is wrong; libsodium then leaves no plaintext anywhere."""
    if nonce is not _NONCE:
        _check_nonce(nonce)
    sealed_bytes = len(frame) - header_bytes
    plaintext = bytearray(sealed_bytes - TAG_BYTES)
    if _decrypt(_pointer(plaintext), _NULL, _NULL, _pointer(frame) + header_bytes, sealed_bytes, aad, len(aad), nonce, key):
        raise ProtocolError(ErrorCode.AUTH_FAILED, "frame is not authentic")
    return bytes(plaintext)


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        raise ValueError("ChaCha20-Poly1305 takes a nonce of 12 bytes")
