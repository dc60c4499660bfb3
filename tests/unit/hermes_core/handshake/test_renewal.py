"""Renewals of a node's identity: both keys sign, one goes on from the other, and nothing else is believed."""

from __future__ import annotations

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.renewal import (
    MAX_RENEWALS,
    RENEWAL_BYTES,
    append_renewal,
    build_renewal,
    list_former_keys,
    verify_renewals,
)
from hermes_core.ids import NodeId
from tests.support.renewals import FORGERIES, make_chain

NODE = NodeId("hermes-0")


def test_a_key_without_renewals_has_no_former_one() -> None:
    assert verify_renewals(b"", NODE, Identity.generate().public_key) == frozenset()


@pytest.mark.parametrize("count", range(1, MAX_RENEWALS + 2))
def test_the_former_keys_of_the_last_renewals_are_told(count: int) -> None:
    keys = [Identity.generate() for _ in range(count + 1)]
    renewals = make_chain(NODE, keys)
    former = tuple(key.public_key for key in keys[:-1])[-MAX_RENEWALS:]
    assert list_former_keys(renewals) == former
    assert verify_renewals(renewals, NODE, keys[-1].public_key) == set(former)
    assert len(renewals) == RENEWAL_BYTES * min(count, MAX_RENEWALS)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_whatever_is_wrong_with_one_makes_nobody_a_successor(forgery: str) -> None:
    former, new = Identity.generate(), Identity.generate()
    with pytest.raises(ProtocolError) as caught:
        verify_renewals(FORGERIES[forgery](NODE, former, new), NODE, new.public_key)
    assert caught.value.code is ErrorCode.AUTH_FAILED


def test_every_bit_counts() -> None:
    former, new = Identity.generate(), Identity.generate()
    renewal = build_renewal(former, new, NODE)
    for index in range(0, RENEWAL_BYTES, 7):
        changed = renewal[:index] + bytes([renewal[index] ^ 1]) + renewal[index + 1 :]
        with pytest.raises(ProtocolError):
            verify_renewals(changed, NODE, new.public_key)


@pytest.mark.parametrize("length", [1, RENEWAL_BYTES - 1, RENEWAL_BYTES + 1, (MAX_RENEWALS + 1) * RENEWAL_BYTES])
def test_another_length_is_refused_before_anything_is_verified(length: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify_renewals(bytes(length), NODE, bytes(32))
    assert caught.value.code is ErrorCode.INVALID_FRAME


def test_the_oldest_is_forgotten_first() -> None:
    assert append_renewal(b"".join(bytes([n]) * RENEWAL_BYTES for n in range(MAX_RENEWALS)), b"n" * RENEWAL_BYTES)[:1] == b"\1"
