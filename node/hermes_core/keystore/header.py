"""The header: file id, wrapped master key, sealed generations; checksummed, then authenticated.

magic "HERMESKS" ‖ u16 version ‖ file id(16) ‖ u8 backend id ‖ u16 length ‖ wrapped master key
‖ nonce(24) ‖ box of u64 generation ‖ generation key(32)      sealed under the master key; in version 2 twice inside,
                                                              the current generation first: it has two while a rotation runs
‖ MAC(32)                                                     BLAKE2b-256 under the master key, over all before it
‖ checksum(8)                                                 SHA-256 over all before it, first 8 bytes; last in every version

The checksum tells damage from a wrong passphrase before Argon2 runs; the MAC tells forgery once the master key is known.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import KeystoreBadPassphraseError, KeystoreTamperedError, KeystoreUnsupportedVersionError
from hermes_core.keystore import labels
from hermes_core.keystore.key_backend import MAX_WRAPPED_BYTES, KeyBackend
from hermes_core.keystore.keys import KEY_BYTES, MasterKeys
from hermes_core.keystore.tables import FILE_ID_BYTES
from hermes_core.values import dataclass

MAGIC: Final = b"HERMESKS"
HEADER_VERSION: Final = 1
ROTATING_VERSION: Final = 2
MAC_BYTES: Final = 32
CHECKSUM_BYTES: Final = 8

_FIXED: Final = struct.Struct(f">{len(MAGIC)}sH{FILE_ID_BYTES}sBH")
_GENERATION: Final = struct.Struct(">Q")
_GENERATION_BYTES: Final = _GENERATION.size + KEY_BYTES
_SEALED_BYTES: Final = {
    HEADER_VERSION: NONCE_BYTES + _GENERATION_BYTES + TAG_BYTES,
    ROTATING_VERSION: NONCE_BYTES + 2 * _GENERATION_BYTES + TAG_BYTES,
}
_ENDING_BYTES: Final = MAC_BYTES + CHECKSUM_BYTES
MIN_HEADER_BYTES: Final = _FIXED.size + _SEALED_BYTES[HEADER_VERSION] + _ENDING_BYTES
MAX_HEADER_BYTES: Final = _FIXED.size + MAX_WRAPPED_BYTES + _SEALED_BYTES[ROTATING_VERSION] + _ENDING_BYTES

_SEAL_LABELS: Final = {1: labels.HEADER_SEAL, 2: labels.TWO_GENERATIONS}
"""By the number of generations."""

Generation = tuple[int, SecretBytes]
"""Number and key (32 bytes) of a generation."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose checksum holds; nothing of it is authentic before `open_generations` returned."""

    file_id: bytes
    backend_id: int
    wrapped: bytes
    sealed_generations: bytes
    mac: bytes
    raw: bytes

    @property
    def wrap_context(self) -> bytes:
        return wrap_context(self.file_id, self.backend_id)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the header's bytes; kept in the sealed state, so that an older header cannot be put back alone."""
        return hashlib.sha256(self.raw).digest()


def wrap_context(file_id: bytes, backend_id: int) -> bytes:
    """What a backend authenticates with the master key: label ‖ u16(1) ‖ file id ‖ u8 backend id; a rotation keeps it."""
    return labels.WRAP + struct.pack(f">H{FILE_ID_BYTES}sB", HEADER_VERSION, file_id, backend_id)


def parse_header(raw: bytes) -> Header:
    """KeystoreTamperedError unless whole; KeystoreUnsupportedVersionError when a newer Hermes wrote it."""
    if not MIN_HEADER_BYTES <= len(raw) <= MAX_HEADER_BYTES or not raw.startswith(MAGIC):
        raise KeystoreTamperedError("the keystore's header is damaged")
    if not hmac.compare_digest(_checksum(raw[:-CHECKSUM_BYTES]), raw[-CHECKSUM_BYTES:]):
        raise KeystoreTamperedError("the keystore's header is damaged: its checksum is wrong")
    _, version, file_id, backend_id, wrapped_length = _FIXED.unpack_from(raw)
    if version not in _SEALED_BYTES:
        raise KeystoreUnsupportedVersionError(f"keystore format {version}; this Hermes knows {max(_SEALED_BYTES)}")
    sealed_at = _FIXED.size + wrapped_length
    mac_at = sealed_at + _SEALED_BYTES[version]
    if len(raw) != mac_at + _ENDING_BYTES:
        raise KeystoreTamperedError("the keystore's header is damaged: its parts do not add up")
    return Header(
        file_id,
        backend_id,
        wrapped=raw[_FIXED.size : sealed_at],
        sealed_generations=raw[sealed_at:mac_at],
        mac=raw[mac_at : mac_at + MAC_BYTES],
        raw=raw,
    )


def unwrap_master(header: Header, backend: KeyBackend) -> SecretBytes:
    """The master key (32 bytes); KeystoreBadPassphraseError when `backend` does not open it."""
    if header.backend_id != backend.backend_id:
        raise KeystoreBadPassphraseError(
            f"this keystore is sealed by key backend {header.backend_id}, not by {backend.backend_id}"
        )
    return backend.unwrap(header.wrapped, header.wrap_context)


def open_generations(header: Header, master: SecretBytes) -> list[Generation]:
    """Check the MAC, then open the current generation and, while a rotation runs, the former one, in this order.

    The keys are the caller's to wipe. KeystoreTamperedError when anything is forged.
    """
    keys = MasterKeys.derive(master)
    try:
        if not hmac.compare_digest(_mac(keys, header.raw[:-_ENDING_BYTES]), header.mac):
            raise KeystoreTamperedError("the keystore's header is forged: its MAC is wrong")
        nonce, box = header.sealed_generations[:NONCE_BYTES], header.sealed_generations[NONCE_BYTES:]
        label = _SEAL_LABELS[(len(box) - TAG_BYTES) // _GENERATION_BYTES]
        plaintext = open_xchacha(keys.seal, nonce, box, label + header.file_id)
    except InvalidTagError:
        raise KeystoreTamperedError("the keystore's header is forged: its generation does not open") from None
    finally:
        keys.wipe()
    generations = []
    for at in range(0, len(plaintext), _GENERATION_BYTES):
        key = SecretBytes.copy_of(memoryview(plaintext)[at + _GENERATION.size : at + _GENERATION_BYTES])
        generations.append((int(_GENERATION.unpack_from(plaintext, at)[0]), key))
    wipe_buffer(plaintext)
    return generations


def build_header(
    file_id: bytes,
    backend_id: int,
    wrapped: bytes,
    master: SecretBytes,
    generations: Sequence[Generation],
    random: RandomSource,
) -> Header:
    """A new header around a master key that was wrapped already; the keys stay the caller's.

    `generations`: the current one, and while a rotation runs the former one after it.
    """
    if len(wrapped) > MAX_WRAPPED_BYTES:
        raise ValueError("a wrapped master key has at most 1,024 bytes")
    keys = MasterKeys.derive(master)
    plaintext = bytearray(len(generations) * _GENERATION_BYTES)
    for at, (number, key) in enumerate(generations):
        _GENERATION.pack_into(plaintext, at * _GENERATION_BYTES, number)
        plaintext[at * _GENERATION_BYTES + _GENERATION.size : (at + 1) * _GENERATION_BYTES] = key.buffer
    nonce = generate_bytes(NONCE_BYTES, random)  # 192 random bits: cannot repeat in practice (xaead.py)
    box = seal_xchacha(keys.seal, nonce, plaintext, _SEAL_LABELS[len(generations)] + file_id)
    wipe_buffer(plaintext)
    version = HEADER_VERSION if len(generations) == 1 else ROTATING_VERSION
    body = _FIXED.pack(MAGIC, version, file_id, backend_id, len(wrapped)) + wrapped + nonce + bytes(box)
    body += _mac(keys, body)
    keys.wipe()
    return parse_header(body + _checksum(body))


def _mac(keys: MasterKeys, data: bytes) -> bytes:
    return hashlib.blake2b(data, key=keys.mac.buffer, digest_size=MAC_BYTES).digest()


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:CHECKSUM_BYTES]
