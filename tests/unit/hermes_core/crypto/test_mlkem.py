"""ML-KEM-768 through its interface: published vectors, what is refused, and what is wiped."""

from __future__ import annotations

import pytest

from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES, ML_KEM_768, SHARED_SECRET_BYTES
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import ErrorCode, ProtocolError
from tests.conformance.published import load_package
from tests.support.random_sources import ListedRandom

CASES = load_package("asymmetric/MLKEM/kat_MLKEM_768.rsp")
Q = 3329


@pytest.mark.parametrize("case", CASES[:25], ids=lambda case: case["count"])
def test_published_vectors(case: dict[str, str]) -> None:
    """`ct_n` is no ciphertext of this key: it gives the secret of implicit rejection, and no error."""
    key = ML_KEM_768.generate(ListedRandom([bytes.fromhex(case["d"] + case["z"])]))
    assert key.public.hex() == case["pk"]
    assert key.decapsulate(bytes.fromhex(case["ct"])).buffer.hex() == case["ss"]
    assert key.decapsulate(bytes.fromhex(case["ct_n"])).buffer.hex() == case["ss_n"]


def test_both_ends_have_one_secret() -> None:
    key = ML_KEM_768.generate(SYSTEM_RANDOM)
    shared, ciphertext = ML_KEM_768.encapsulate(key.public, SYSTEM_RANDOM)
    assert (len(key.public), len(ciphertext), len(shared)) == (ENCAPSULATION_KEY_BYTES, CIPHERTEXT_BYTES, SHARED_SECRET_BYTES)
    assert key.decapsulate(ciphertext).equals(shared)
    assert not key.decapsulate(bytes([ciphertext[0] ^ 1]) + ciphertext[1:]).equals(shared)


def spoil(public: bytes, coefficient: int, value: int) -> bytes:
    """With this value as one of its 768 coefficients of 12 bits."""
    at, odd = divmod(coefficient * 3, 2)
    first, second = public[at], public[at + 1]
    changed = (first & 0x0F | value << 4 & 0xF0, value >> 4) if odd else (value & 0xFF, second & 0xF0 | value >> 8)
    return public[:at] + bytes(changed) + public[at + 2 :]


@pytest.mark.parametrize("coefficient", [0, 1, 766, 767])
@pytest.mark.parametrize(("value", "canonical"), [(Q - 1, True), (Q, False), (4095, False)])
def test_a_key_that_is_not_canonical_is_refused(coefficient: int, value: int, canonical: bool) -> None:
    public = spoil(ML_KEM_768.generate(SYSTEM_RANDOM).public, coefficient, value)
    if canonical:
        ML_KEM_768.encapsulate(public, SYSTEM_RANDOM)
        return
    with pytest.raises(ProtocolError) as raised:
        ML_KEM_768.encapsulate(public, SYSTEM_RANDOM)
    assert raised.value.code is ErrorCode.INVALID_KEY


@pytest.mark.parametrize("change", [-1, 1])
def test_lengths(change: int) -> None:
    key = ML_KEM_768.generate(SYSTEM_RANDOM)
    with pytest.raises(ProtocolError) as raised:
        ML_KEM_768.encapsulate(bytes(ENCAPSULATION_KEY_BYTES + change), SYSTEM_RANDOM)
    assert raised.value.code is ErrorCode.INVALID_FRAME
    with pytest.raises(ProtocolError) as raised:
        key.decapsulate(bytes(CIPHERTEXT_BYTES + change))
    assert raised.value.code is ErrorCode.INVALID_FRAME


def test_a_wiped_key_is_of_no_use() -> None:
    key = ML_KEM_768.generate(SYSTEM_RANDOM)
    key.wipe()
    with pytest.raises(ValueError, match="wiped"):
        key.decapsulate(bytes(CIPHERTEXT_BYTES))
