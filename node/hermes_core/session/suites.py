"""Which key agreement and hash a session's secret is made with: one side lists, the other picks, both are signed."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hermes_core.crypto.hashing import HashId
from hermes_core.errors import ErrorCode, ProtocolError


class SessionSuite(IntEnum):
    """Named in every transcript of a session."""

    X25519_SHA256 = 1


HASH: Final[dict[SessionSuite, HashId]] = {SessionSuite.X25519_SHA256: HashId.SHA256}
OFFERED: Final = bytes(SessionSuite)
"""What this implementation lists, one byte a suite, the preferred first."""


def choose_suite(listed: bytes) -> SessionSuite:
    """The first listed suite that we know; KEY_VERSION_MISMATCH when there is none."""
    for number in listed:
        if number in OFFERED:
            return SessionSuite(number)
    raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "no suite in common")


def check_pick(listed: bytes, picked: int) -> SessionSuite:
    """What the peer picked from our list; KEY_VERSION_MISMATCH for anything else."""
    if picked not in listed:
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "picked a suite that was not listed")
    return SessionSuite(picked)
