"""Hashing, HKDF, X25519, ChaCha20-Poly1305, encoding and labels: Hermes' own functions around the libraries."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_core.crypto import hkdf, labels
from hermes_core.crypto.aead import LONG_BYTES, open_frame, seal_frame
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import DIGEST_BYTES, NAME, HashId, compute_tag, equal_tags, hash_bytes
from hermes_core.crypto.random import SYSTEM_RANDOM, generate_secret
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import pointer
from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral
from hermes_core.errors import ErrorCode, ProtocolError
from tests.reference import protocol_reference as ref

NONCE = bytes(range(12))
P = 2**255 - 19
LOW_ORDER = [
    *(value.to_bytes(32, "little") for value in (0, 1, P - 1, P, P + 1)),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def make(data: bytes) -> SecretBytes:
    return SecretBytes.take(bytearray(data))


def test_integers_are_big_endian_and_bounded() -> None:
    assert u8(255) + u32(1) + u64(2) == b"\xff\0\0\0\1\0\0\0\0\0\0\0\2"
    for encode, bits in ((u8, 8), (u32, 32), (u64, 64)):
        with pytest.raises(OverflowError):
            encode(1 << bits)


@given(st.lists(st.binary(max_size=9), max_size=4), st.lists(st.binary(max_size=9), max_size=4))
def test_length_prefixes_keep_fields_apart(first: list[bytes], second: list[bytes]) -> None:
    if first != second:
        assert b"".join(map(lp, first)) != b"".join(map(lp, second))


def test_labels_are_unique_and_on_the_protocol_page() -> None:
    values = {name: value for name, value in vars(labels).items() if isinstance(value, bytes)}
    assert len(set(values.values())) == len(values)
    page = (Path(__file__).parents[4] / "docs/reference/protocol.md").read_text()
    flat = re.sub(r"\s+", " ", page)
    for name, value in values.items():
        assert (f'"{value.decode()}"' if name.startswith("PURPOSE") else f"`{value.decode()}`") in flat


@pytest.mark.parametrize("hash_id", list(HashId))
def test_hash_and_tag(hash_id: HashId) -> None:
    name = NAME[hash_id]
    assert hash_bytes(hash_id, b"x") == hashlib.new(name, b"x").digest()
    assert compute_tag(hash_id, make(b"k" * 32), b"x") == hmac.new(b"k" * 32, b"x", name).digest()
    assert len(hash_bytes(hash_id, b"")) == DIGEST_BYTES[hash_id]


def test_equal_tags() -> None:
    assert equal_tags(b"abc", b"abc")
    assert not equal_tags(b"abc", b"abd")
    assert not equal_tags(b"abc", b"ab")


@pytest.mark.parametrize("hash_id", list(HashId))
def test_hkdf_bounds(hash_id: HashId) -> None:
    prk = hkdf.extract(hash_id, b"salt", make(b"ikm"))
    longest = 255 * DIGEST_BYTES[hash_id]
    assert len(hkdf.expand(hash_id, prk, b"", longest)) == longest
    for length in (0, longest + 1):
        with pytest.raises(ValueError, match="HKDF"):
            hkdf.expand(hash_id, prk, b"", length)


def test_x25519_agrees_and_forgets() -> None:
    ours, theirs = generate_ephemeral(SYSTEM_RANDOM), generate_ephemeral(SYSTEM_RANDOM)
    assert ours.exchange(theirs.public).equals(theirs.exchange(ours.public))
    ours.wipe()
    with pytest.raises(ValueError, match="wiped"):
        ours.exchange(theirs.public)


@pytest.mark.parametrize("point", LOW_ORDER)
@pytest.mark.parametrize("top_bit", [0, 0x80])
def test_x25519_refuses_low_order_points(point: bytes, top_bit: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        generate_ephemeral(SYSTEM_RANDOM).exchange(point[:31] + bytes([point[31] | top_bit]))
    assert raised.value.code is ErrorCode.INVALID_KEY


@pytest.mark.parametrize("u", range(2, 19))
def test_x25519_takes_every_encoding_of_a_point(u: int) -> None:
    """RFC 7748, 5: the top bit is ignored, and u is taken modulo p; u = 0 and 1 are of small order."""
    private = generate_ephemeral(SYSTEM_RANDOM)
    shared = private.exchange(u.to_bytes(32, "little"))
    for other in (u + 2**255 - 19, u + 2**255):
        assert private.exchange(other.to_bytes(32, "little")).equals(shared)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_x25519_lengths(length: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        generate_ephemeral(SYSTEM_RANDOM).exchange(bytes(length))
    assert raised.value.code is ErrorCode.INVALID_FRAME
    with pytest.raises(ValueError, match="32 bytes"):
        EphemeralKey(SecretBytes(length))


@pytest.mark.parametrize("length", [0, 1, 1024, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1, 65536])
def test_aead_round_trip(length: int) -> None:
    key = make(bytes(range(32)))
    plaintext = generate_secret(length, SYSTEM_RANDOM)
    sealed = seal_frame(pointer(key.buffer), NONCE, b"header", bytes(plaintext.buffer), b"header aad")
    assert sealed[:6] == b"header"
    assert len(sealed) == 6 + length + 16
    assert open_frame(pointer(key.buffer), NONCE, sealed, 6, b"header aad") == plaintext.buffer


@pytest.mark.parametrize("length", [LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1])
def test_both_libraries_give_the_reference_bytes(length: int) -> None:
    key = make(bytes(range(32)))
    expected = ref.seal(bytes(range(32)), NONCE, b"header", b"x" * length, None)
    assert seal_frame(pointer(key.buffer), NONCE, b"header", b"x" * length, b"header") == expected


@pytest.mark.parametrize("length", [3, 5000])
def test_aead_refuses_every_change(length: int) -> None:
    key = make(bytes(range(32)))
    sealed = seal_frame(pointer(key.buffer), NONCE, b"h", b"x" * length, b"aad")
    for place in [*range(1, 20), len(sealed) - 17, len(sealed) - 16, len(sealed) - 1]:
        forged = bytearray(sealed)
        forged[min(place, len(forged) - 1)] ^= 0x10
        with pytest.raises(ProtocolError) as raised:
            open_frame(pointer(key.buffer), NONCE, bytes(forged), 1, b"aad")
        assert raised.value.code is ErrorCode.AUTH_FAILED
    for other, aad in ((make(bytes(32)), b"aad"), (key, b"aae")):
        with pytest.raises(ProtocolError):
            open_frame(pointer(other.buffer), NONCE, sealed, 1, aad)


def test_random_secrets_differ() -> None:
    assert not generate_secret(32, SYSTEM_RANDOM).equals(generate_secret(32, SYSTEM_RANDOM))
    assert len(generate_secret(16, SYSTEM_RANDOM)) == 16
