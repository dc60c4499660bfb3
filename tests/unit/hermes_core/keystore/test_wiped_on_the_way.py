"""What the keystore's functions make on their way is wiped when they return, also where they refuse."""

from __future__ import annotations

import random

import pytest

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreBadPassphraseError, KeystoreTamperedError
from hermes_core.keystore.chat_record_codec import encode_chat_record
from hermes_core.keystore.floor import FloorKey, encode_floor_key, parse_floor_key
from hermes_core.keystore.header import build_header, open_generations
from hermes_core.keystore.key_backend import PassphraseBackend
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.migration import migrate_value
from hermes_core.keystore.sealing import Sealers
from hermes_core.keystore.tables import Table
from tests.support.kept_secrets import keeping_secrets
from tests.unit.hermes_core.keystore.record_samples import build_record

FILE_ID = bytes(16)
CHEAP = Argon2Params(8192, 1, 1)


def passphrase(text: bytes = b"words") -> PassphraseBackend:
    return PassphraseBackend(SecretBytes.take(bytearray(text)), CHEAP)


def test_a_header_that_is_built_and_opened() -> None:
    master, first, second = (generate_key(SYSTEM_RANDOM) for _ in range(3))
    with keeping_secrets() as kept:
        header = build_header(FILE_ID, 1, b"wrapped", master, [(2, second), (1, first)], SYSTEM_RANDOM)
        assert kept.left() == []
        opened = open_generations(header, master)
        assert kept.left(*(key for _, key in opened)) == []
    assert len(kept) == 8  # twice two subkeys and a plaintext, two keys


def test_a_header_that_is_forged() -> None:
    master, key = generate_key(SYSTEM_RANDOM), generate_key(SYSTEM_RANDOM)
    header = build_header(FILE_ID, 1, b"wrapped", master, [(1, key)], SYSTEM_RANDOM)
    with keeping_secrets() as kept, pytest.raises(KeystoreTamperedError):
        open_generations(header, generate_key(SYSTEM_RANDOM))
    assert len(kept.left()) == 1  # the key that was handed in


def test_a_master_key_that_is_wrapped_and_unwrapped() -> None:
    master, backend, wrong = generate_key(SYSTEM_RANDOM), passphrase(), passphrase(b"other")
    with keeping_secrets() as kept:
        wrapped = backend.wrap(master, b"context", SYSTEM_RANDOM)
        assert kept.left() == []
        again = backend.unwrap(wrapped, b"context")
        assert kept.left(again) == []
        with pytest.raises(KeystoreBadPassphraseError):
            wrong.unwrap(wrapped, b"context")
        assert kept.left(again) == []
    assert again.equals(master)


def test_a_floor_key_that_is_read() -> None:
    value = encode_floor_key(FloorKey(generate_key(SYSTEM_RANDOM), armed=True))
    with keeping_secrets() as kept:
        floor = parse_floor_key(value)
    assert not any(value)
    assert kept.left(floor.key) == []


def test_a_record_whose_generation_is_asked_for() -> None:
    keys = [GenerationKeys.derive(FILE_ID, number, generate_key(SYSTEM_RANDOM)) for number in (1, 2)]
    sealers = Sealers(keys[1], keys[0])
    rows = [sealer.seal(Table.CHAT, b"chat", 3, bytearray(b"secrets"), SYSTEM_RANDOM) for sealer in sealers.each]
    with keeping_secrets() as kept:
        assert [sealers.is_current(row.row_key, row.table, row.version, row.sealed) for row in rows] == [True, False]
    assert len(kept) == 2
    assert kept.left() == []


def test_a_record_that_is_migrated() -> None:
    value = encode_chat_record(build_record(random.Random(7)))
    with keeping_secrets() as kept:
        migrated = migrate_value(Table.CHAT, value)
    assert migrated == value
    assert kept.left() == ["encode_chat_record"]  # what is handed out
