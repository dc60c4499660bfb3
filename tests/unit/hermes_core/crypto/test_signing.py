"""Ed25519, strictly: keys that fool lenient verifiers are refused."""

from __future__ import annotations

import hashlib
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity, check_public_key, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError

IDENTITY_POINT = bytes([1]) + bytes(31)
SMALL_ORDER = [
    IDENTITY_POINT,
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),  # order 2
    bytes(32),  # order 4
    bytes(31) + b"\x80",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),  # order 8
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]
NOT_CANONICAL = [
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),  # p + 1
    b"\xff" * 32,
]
NOT_ON_THE_CURVE = [bytes([2]) + bytes(31)]


@pytest.fixture
def identity() -> Identity:
    return Identity.from_seed(SecretBytes.take(bytearray(range(32))))


def test_signature_round_trip(identity: Identity) -> None:
    signature = identity.sign(b"data")
    assert len(signature) == 64
    verify_signature(identity.public_key, b"data", signature)


@given(data=st.binary(max_size=64), place=st.integers(0, 511))
def test_any_flipped_bit_is_refused(data: bytes, place: int) -> None:
    identity = Identity.from_seed(SecretBytes.take(bytearray(range(32))))
    signature = bytearray(identity.sign(data))
    signature[place // 8] ^= 1 << place % 8
    with pytest.raises(ProtocolError) as raised:
        verify_signature(identity.public_key, data, bytes(signature))
    assert raised.value.code is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signature_length(identity: Identity, length: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        verify_signature(identity.public_key, b"data", bytes(length))
    assert raised.value.code is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize("key", [*SMALL_ORDER, *NOT_CANONICAL, *NOT_ON_THE_CURVE, b"", bytes(31), bytes(33)])
def test_bad_public_keys(key: bytes) -> None:
    for use in (check_public_key, lambda key: verify_signature(key, b"data", bytes(64))):
        with pytest.raises(ProtocolError) as raised:
            use(key)
        assert raised.value.code is ErrorCode.INVALID_KEY


def test_a_point_of_mixed_order_is_refused(identity: Identity) -> None:
    check_public_key(identity.public_key)
    mixed = crypto_core_ed25519_add(identity.public_key, SMALL_ORDER[1])
    with pytest.raises(ProtocolError) as raised:
        check_public_key(mixed)
    assert raised.value.code is ErrorCode.INVALID_KEY


def test_the_signature_that_fits_every_message_under_the_identity_point() -> None:
    """Why libsodium: OpenSSL takes this one for any message."""
    forged = IDENTITY_POINT + bytes(32)
    for message in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(IDENTITY_POINT).verify(forged, message)
        with pytest.raises(ProtocolError):
            verify_signature(IDENTITY_POINT, message, forged)


ORDER = 2**252 + 27742317777372353535851937790883648493
"""L of RFC 8032."""


def sign_by_hand(*, torsion: bytes | None = None, r: int | None = None, excess: int = 0) -> tuple[bytes, bytes]:
    """(public key, signature of b"data"), with a point of small order added to R, or more than L in S."""
    scalar = secrets.randbelow(ORDER - 1) + 1
    public_key = crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    r = secrets.randbelow(ORDER - 1) + 1 if r is None else r
    point = crypto_scalarmult_ed25519_base_noclamp(r.to_bytes(32, "little")) if r else IDENTITY_POINT
    if torsion is not None:
        point = crypto_core_ed25519_add(point, torsion)
    k = int.from_bytes(hashlib.sha512(point + public_key + b"data").digest(), "little")
    return public_key, point + ((r + k * scalar) % ORDER + excess).to_bytes(32, "little")


def test_a_signature_by_hand_is_one() -> None:
    verify_signature(*_with_data(sign_by_hand()))


@pytest.mark.parametrize(
    "forged",
    [
        *[{"torsion": point} for point in SMALL_ORDER[1:]],  # mixed order: the check has no cofactor
        *[{"torsion": point, "r": 0} for point in SMALL_ORDER],  # small order
        {"excess": ORDER},
    ],
)
def test_a_second_encoding_of_a_signature_is_refused(forged: dict[str, bytes | int]) -> None:
    with pytest.raises(ProtocolError) as raised:
        verify_signature(*_with_data(sign_by_hand(**forged)))  # type: ignore[arg-type]
    assert raised.value.code is ErrorCode.AUTH_FAILED


def _with_data(made: tuple[bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    return made[0], b"data", made[1]


def test_seed_round_trip() -> None:
    identity = Identity.generate()
    seed = identity.seed()
    again = Identity.from_seed(seed)
    assert again.public_key == identity.public_key
    assert again.sign(b"x") == identity.sign(b"x")
    assert Identity.generate().public_key != identity.public_key


def test_wipe_ends_the_identity(identity: Identity) -> None:
    identity.wipe()
    with pytest.raises(ValueError, match="wiped"):
        identity.sign(b"data")
    with pytest.raises(ValueError, match="wiped"):
        identity.seed()


def test_seed_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Identity.from_seed(SecretBytes(31))
