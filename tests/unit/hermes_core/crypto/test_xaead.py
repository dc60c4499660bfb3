"""XChaCha20-Poly1305 boxes: round trip, every byte matters, in place equals out of place, nothing left after a failure."""

from __future__ import annotations

import pytest

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.xaead import InvalidTagError, open_xchacha, seal_xchacha, seal_xchacha_in_place

NONCE = bytes(range(24))


@pytest.fixture
def key() -> SecretBytes:
    return SecretBytes.take(bytearray(range(32)))


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1024])
def test_round_trip(key: SecretBytes, length: int) -> None:
    plaintext = bytes(range(256)) * 4
    sealed = seal_xchacha(key, NONCE, plaintext[:length], b"aad")
    assert len(sealed) == length + 16
    assert open_xchacha(key, NONCE, sealed, b"aad") == plaintext[:length]


def test_in_place_gives_the_same_box(key: SecretBytes) -> None:
    buffer = bytearray(b"record" + bytes(16))
    seal_xchacha_in_place(key, NONCE, buffer, b"aad")
    assert buffer == seal_xchacha(key, NONCE, b"record", b"aad")


def test_every_flipped_byte_is_refused(key: SecretBytes) -> None:
    sealed = seal_xchacha(key, NONCE, b"record", b"aad")
    for index in range(len(sealed)):
        forged = bytearray(sealed)
        forged[index] ^= 1
        with pytest.raises(InvalidTagError):
            open_xchacha(key, NONCE, forged, b"aad")


def test_other_context_is_refused(key: SecretBytes) -> None:
    sealed = seal_xchacha(key, NONCE, b"record", b"aad")
    other_key = SecretBytes.take(bytearray(range(1, 33)))
    for k, nonce, aad in [(other_key, NONCE, b"aad"), (key, bytes(24), b"aad"), (key, NONCE, b"")]:
        with pytest.raises(InvalidTagError):
            open_xchacha(k, nonce, sealed, aad)


@pytest.mark.parametrize("length", [0, 15])
def test_a_box_shorter_than_its_tag_is_refused(key: SecretBytes, length: int) -> None:
    with pytest.raises(InvalidTagError):
        open_xchacha(key, NONCE, bytes(length), b"")


def test_wrong_sizes_are_a_programming_error(key: SecretBytes) -> None:
    with pytest.raises(ValueError, match="nonce of 24"):
        seal_xchacha(key, bytes(23), b"", b"")
    with pytest.raises(ValueError, match="key of 32"):
        open_xchacha(SecretBytes(31), NONCE, bytes(16), b"")
    with pytest.raises(ValueError, match="spare"):
        seal_xchacha_in_place(key, NONCE, bytearray(15), b"")
