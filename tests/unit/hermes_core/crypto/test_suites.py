"""Suites: which is below which, what a channel allows, and what is picked."""

from __future__ import annotations

import pytest

from hermes_core.crypto.suites import HASH, Suite, allow_suites, pick_suite
from hermes_core.errors import ErrorCode, ProtocolError

PLAIN_256, PLAIN_512, HYBRID_256, HYBRID_512 = Suite


def test_every_suite_has_its_hash() -> None:
    assert set(HASH) == set(Suite)


def test_below_is_in_key_exchange_or_hash() -> None:
    below = {(lower, upper) for lower in Suite for upper in Suite if lower.is_below(upper)}
    assert below == {
        (PLAIN_256, PLAIN_512), (PLAIN_256, HYBRID_256), (PLAIN_256, HYBRID_512), (PLAIN_512, HYBRID_256),
        (PLAIN_512, HYBRID_512), (HYBRID_256, PLAIN_512), (HYBRID_256, HYBRID_512),
    }  # fmt: skip


def test_a_channel_never_goes_below_what_it_uses() -> None:
    assert allow_suites((PLAIN_256, HYBRID_256), None) == (PLAIN_256, HYBRID_256)
    assert allow_suites((PLAIN_256, HYBRID_256, HYBRID_512), HYBRID_256) == (HYBRID_256, HYBRID_512)
    assert allow_suites((PLAIN_256,), HYBRID_512) == (HYBRID_512,), "another setting does not strand a chat"


def test_the_senders_preference_decides() -> None:
    assert pick_suite(bytes([99, HYBRID_512, PLAIN_256]), (PLAIN_256, HYBRID_512)) is HYBRID_512
    for listed in (b"", bytes([99]), bytes([PLAIN_512])):
        with pytest.raises(ProtocolError) as raised:
            pick_suite(listed, (PLAIN_256, HYBRID_512))
        assert raised.value.code is ErrorCode.UNSUPPORTED
