"""Suites: which key exchange and which hash an epoch is made with, as one number; and how two ends choose one."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hermes_core.crypto.hashing import DIGEST_BYTES, HashId
from hermes_core.errors import ErrorCode, ProtocolError

MAX_SUITES: Final = 8
"""That an offer may list."""


class Suite(IntEnum):
    """Numbers are given once. X25519 takes part in each; ML-KEM-768 protects what is recorded today from a quantum computer."""

    X25519_SHA256 = 1
    X25519_SHA512 = 2
    X25519_MLKEM768_SHA256 = 3
    X25519_MLKEM768_SHA512 = 4

    @classmethod
    def named(cls, name: str) -> Suite:
        """The suite that settings call so, as `x25519-mlkem768-sha256`."""
        return cls[name.upper().replace("-", "_")]

    @property
    def hash_id(self) -> HashId:
        return HASH[self]

    @property
    def hybrid(self) -> bool:
        """It takes ML-KEM-768 as well."""
        return self in HYBRID

    def is_below(self, other: Suite) -> bool:
        """In its key exchange or its hash."""
        return self.hybrid < other.hybrid or DIGEST_BYTES[self.hash_id] < DIGEST_BYTES[other.hash_id]


HASH: Final[dict[Suite, HashId]] = {
    Suite.X25519_SHA256: HashId.SHA256,
    Suite.X25519_SHA512: HashId.SHA512,
    Suite.X25519_MLKEM768_SHA256: HashId.SHA256,
    Suite.X25519_MLKEM768_SHA512: HashId.SHA512,
}
HYBRID: Final = frozenset({Suite.X25519_MLKEM768_SHA256, Suite.X25519_MLKEM768_SHA512})


def allow_suites(configured: tuple[Suite, ...], used: Suite | None) -> tuple[Suite, ...]:
    """What a channel offers and takes: never below the suite it uses, which it goes on with when nothing else is configured."""
    if used is None:
        return configured
    return tuple(suite for suite in configured if not suite.is_below(used)) or (used,)


def lists_hybrid(numbers: bytes) -> bool:
    """One of those that we know takes ML-KEM-768."""
    return any(number in HYBRID for number in numbers)


def check_pick(listed: bytes, picked: bytes) -> Suite:
    """What the peer picked, one byte, of the suites that we listed; UNSUPPORTED for anything else."""
    if picked[0] not in listed:
        raise ProtocolError(ErrorCode.UNSUPPORTED, "the answer picks a suite that was not offered")
    return Suite(picked[0])


def pick_suite(listed: bytes, allowed: tuple[Suite, ...]) -> Suite:
    """The first of the sender's that we allow; numbers we do not know are passed over. UNSUPPORTED without one."""
    for number in listed:
        if number in allowed:
            return Suite(number)
    raise ProtocolError(ErrorCode.UNSUPPORTED, "no suite that both ends allow, and that is not below the one in use")
