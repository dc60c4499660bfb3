"""What key agreement makes on its way is wiped when it returns: what libraries hand out, joined secrets, keys in between."""

from __future__ import annotations

import os

import pytest

from hermes_core.crypto import hkdf, mlkem
from hermes_core.crypto.hashing import HashId
from hermes_core.crypto.mlkem import ML_KEM_768
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite
from hermes_core.handshake.key_schedule import derive_epoch_keys
from hermes_core.session.keys import derive_session_keys
from hermes_core.session.suites import SessionSuite
from tests.support.kept_secrets import keeping_secrets


def fresh(length: int = 32) -> SecretBytes:
    return SecretBytes.take(bytearray(os.urandom(length)))


@pytest.mark.parametrize("hash_id", HashId)
def test_the_digest_of_an_extraction(hash_id: HashId) -> None:
    with keeping_secrets() as kept:
        prk = hkdf.extract(hash_id, b"salt", fresh())
        assert len(kept) == 3
        assert kept.left(prk) == ["SecretBytes(32)"]  # what was extracted from is the caller's


def test_joined_secrets() -> None:
    halves = fresh(), fresh(16)
    with keeping_secrets() as kept:
        views = [half.buffer for half in halves]
        joined = SecretBytes.join(*halves)
    assert not any(map(any, views))
    assert kept.left(joined) == []


def test_the_seed_of_a_key_pair_and_what_it_opens() -> None:
    with keeping_secrets() as kept:
        key = ML_KEM_768.generate(SYSTEM_RANDOM)
        assert len(kept) == 1
        assert kept.left() == []
        sent = ML_KEM_768.encapsulate(key.public, SYSTEM_RANDOM)
        opened = key.decapsulate(sent.ciphertext)
        assert kept.left(sent.secret, opened) == []
    assert opened.equals(sent.secret)


def test_what_the_library_hands_out() -> None:
    shared = os.urandom(32)
    assert any(mlkem._own(shared).buffer)
    assert not any(shared)


@pytest.mark.parametrize("suite", Suite)
def test_a_key_schedule(suite: Suite) -> None:
    with keeping_secrets() as kept:
        keys = derive_epoch_keys(suite, fresh(), fresh() if suite.hybrid else None, bytes(32), None)
        assert kept.left(keys.i2r, keys.r2i, keys.mac, keys.ratchet) == []
        keys.wipe()
        assert kept.left() == []


@pytest.mark.parametrize("suite", SessionSuite)
def test_the_keys_of_a_session(suite: SessionSuite) -> None:
    with keeping_secrets() as kept:
        keys = derive_session_keys(suite, fresh(), bytes(32), dialled=True)
        assert kept.left(keys.writer._key, keys.reader._key) == []
        keys.wipe()
        assert kept.left() == []


def test_an_identity() -> None:
    with keeping_secrets() as kept:
        identity = Identity.generate()
        assert kept.left(identity._secret_key) == []
        identity.sign(b"data")
        identity.wipe()
        assert kept.left() == []
