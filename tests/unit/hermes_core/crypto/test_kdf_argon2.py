"""Argon2id: a known answer, and bounds that hold before any memory is spent."""

from __future__ import annotations

import pytest

from hermes_core.crypto.kdf_argon2 import Argon2Params, derive_argon2id, derive_master_key
from hermes_core.crypto.secret import SecretBytes


def test_rfc_9106_section_5_3() -> None:
    key = derive_argon2id(
        SecretBytes.take(bytearray(b"\x01" * 32)),
        b"\x02" * 16,
        memory_kib=32,
        time_cost=3,
        lanes=4,
        length=32,
        secret=b"\x03" * 8,
        ad=b"\x04" * 12,
    )
    assert key.buffer.hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"


def test_master_key_depends_on_passphrase_salt_and_costs() -> None:
    def derive(passphrase: bytes, salt: int, **costs: int) -> bytes:
        params = Argon2Params(**{"memory_kib": 8192, "time_cost": 1, "lanes": 1} | costs)
        key = derive_master_key(SecretBytes.take(bytearray(passphrase)), bytes([salt]) * 16, params)
        return bytes(key.buffer)

    keys = [derive(b"a", 1), derive(b"b", 1), derive(b"a", 2), derive(b"a", 1, time_cost=2), derive(b"a", 1, lanes=2)]
    assert len(set(keys)) == len(keys)
    assert derive(b"a", 1) == keys[0]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("memory_kib", 8192, 1 << 20),
        ("time_cost", 1, 16),
        ("lanes", 1, 16),
    ],
)
def test_bounds(field: str, low: int, high: int) -> None:
    for value in (low, high):
        Argon2Params(**{field: value})
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=field):
            Argon2Params(**{field: value})


def test_salt_length() -> None:
    with pytest.raises(ValueError, match="salt"):
        derive_master_key(SecretBytes(1), bytes(15), Argon2Params())
