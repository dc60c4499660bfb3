"""The header: every flipped byte refused before Argon2 runs, forgeries refused after it, costs bounded before they are paid."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.crypto.kdf_argon2 import (
    Argon2Params,
    derive_argon2id,
    derive_master_key,
)
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import (
    KeystoreBadPassphraseError,
    KeystoreError,
    KeystoreTamperedError,
    KeystoreTooCostlyError,
    KeystoreUnsupportedVersionError,
)
from hermes_core.keystore.header import (
    CHECKSUM_BYTES,
    MAX_HEADER_BYTES,
    Header,
    build_header,
    open_generations,
    parse_header,
    unwrap_master,
    wrap_context,
)
from hermes_core.keystore.key_backend import MAX_WRAPPED_BYTES, PassphraseBackend, parse_costs
from hermes_core.keystore.keys import generate_key

FILE_ID = bytes(range(16))


class TransparentBackend:
    """A key service in memory: wrapped = key name ‖ master key xor the service's key."""

    backend_id = 200

    def __init__(self, mask: int) -> None:
        self._mask = mask

    def wrap(self, master: SecretBytes, context: bytes, random: RandomSource) -> bytes:  # noqa: ARG002 - has its own
        return hashlib.sha256(context).digest() + bytes(byte ^ self._mask for byte in master.buffer)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        if wrapped[:32] != hashlib.sha256(context).digest():
            raise KeystoreTamperedError("wrapped for another file")
        return SecretBytes.take(bytearray(byte ^ self._mask for byte in wrapped[32:]))


def build(backend: TransparentBackend, generation: int = 3) -> tuple[Header, SecretBytes, SecretBytes]:
    master, key = generate_key(SYSTEM_RANDOM), generate_key(SYSTEM_RANDOM)
    wrapped = backend.wrap(master, wrap_context(FILE_ID, backend.backend_id), SYSTEM_RANDOM)
    return build_header(FILE_ID, backend.backend_id, wrapped, master, [(generation, key)], SYSTEM_RANDOM), master, key


def with_checksum(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()[:CHECKSUM_BYTES]


def test_another_key_backend_plugs_in() -> None:
    backend = TransparentBackend(0x5A)
    header, master, key = build(backend)
    opened = unwrap_master(parse_header(header.raw), backend)
    assert opened.equals(master)
    [(generation, opened_key)] = open_generations(header, opened)
    assert generation == 3
    assert opened_key.equals(key)


def test_a_header_of_another_backend_is_not_a_wrong_file() -> None:
    header, _, _ = build(TransparentBackend(1))
    passphrase = SecretBytes.take(bytearray(b"x"))
    with pytest.raises(KeystoreBadPassphraseError, match="key backend 200"):
        unwrap_master(header, PassphraseBackend(passphrase))


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_found_by_the_checksum(flip: int) -> None:
    raw = build(TransparentBackend(1))[0].raw
    for at in range(len(raw)):
        forged = bytearray(raw)
        forged[at] ^= flip
        with pytest.raises(KeystoreTamperedError):
            parse_header(bytes(forged))


def test_every_byte_flipped_under_a_right_checksum_is_found_by_the_keys() -> None:
    """An attacker can compute the checksum, not the MAC; only the version and the lengths are judged without a key."""
    backend = TransparentBackend(1)
    raw = build(backend)[0].raw
    for at in range(len(raw) - CHECKSUM_BYTES):
        body = bytearray(raw[:-CHECKSUM_BYTES])
        body[at] ^= 1
        with pytest.raises(KeystoreError):
            open_generations(header := parse_header(with_checksum(bytes(body))), unwrap_master(header, backend))


def test_truncated_and_oversized_headers_are_refused() -> None:
    raw = build(TransparentBackend(1))[0].raw
    for length in range(len(raw)):
        with pytest.raises(KeystoreTamperedError):
            parse_header(raw[:length])
    with pytest.raises(KeystoreTamperedError):
        parse_header(raw.ljust(MAX_HEADER_BYTES + 1, b"\0"))


def test_a_newer_header_version_is_told_apart() -> None:
    body = bytearray(build(TransparentBackend(1))[0].raw[:-CHECKSUM_BYTES])
    body[8:10] = struct.pack(">H", 3)
    with pytest.raises(KeystoreUnsupportedVersionError, match="format 3"):
        parse_header(with_checksum(bytes(body)))


def test_the_wrapped_key_at_its_bound_and_one_past_it() -> None:
    master, key = generate_key(SYSTEM_RANDOM), generate_key(SYSTEM_RANDOM)
    header = build_header(FILE_ID, 200, bytes(MAX_WRAPPED_BYTES), master, [(1, key)], SYSTEM_RANDOM)
    assert parse_header(header.raw).wrapped == bytes(MAX_WRAPPED_BYTES)
    rotating = build_header(FILE_ID, 200, bytes(MAX_WRAPPED_BYTES), master, [(2, key), (1, key)], SYSTEM_RANDOM)
    assert len(header.raw) < len(rotating.raw) == MAX_HEADER_BYTES
    assert parse_header(rotating.raw).wrapped == bytes(MAX_WRAPPED_BYTES)
    with pytest.raises(ValueError, match="1,024"):
        build_header(FILE_ID, 200, bytes(MAX_WRAPPED_BYTES + 1), master, [(1, key)], SYSTEM_RANDOM)


def test_parts_that_do_not_add_up_are_refused() -> None:
    body = bytearray(build(TransparentBackend(1))[0].raw[:-CHECKSUM_BYTES])
    body[27:29] = struct.pack(">H", 65)
    with pytest.raises(KeystoreTamperedError, match="add up"):
        parse_header(with_checksum(bytes(body)))


def test_the_generation_key_of_another_file_does_not_open() -> None:
    backend = TransparentBackend(1)
    header, master, key = build(backend)
    other = build_header(bytes(16), 200, header.wrapped, master, [(3, key)], SYSTEM_RANDOM)
    transplanted = other.raw[: -CHECKSUM_BYTES - 32]
    spliced = transplanted[:10] + FILE_ID + transplanted[26:]
    with pytest.raises(KeystoreTamperedError, match="forged"):
        open_generations(parse_header(with_checksum(spliced + bytes(32))), master)


def test_two_generations_while_a_rotation_runs() -> None:
    """The current one first; neither opens under the other's label, nor does a header with one pass for one with two."""
    master, keys = generate_key(SYSTEM_RANDOM), [generate_key(SYSTEM_RANDOM), generate_key(SYSTEM_RANDOM)]
    header = build_header(FILE_ID, 200, b"wrapped", master, [(8, keys[0]), (7, keys[1])], SYSTEM_RANDOM)
    assert header.raw[8:10] == b"\0\2"
    opened = open_generations(parse_header(header.raw), master)
    assert [(number, bytes(key.buffer)) for number, key in opened] == [(8, bytes(keys[0].buffer)), (7, bytes(keys[1].buffer))]
    body = bytearray(header.raw[:-CHECKSUM_BYTES])
    body[8:10] = b"\0\1"
    with pytest.raises(KeystoreTamperedError, match="add up"):
        parse_header(with_checksum(bytes(body)))


MAX_MEMORY_KIB, MAX_TIME_COST, MAX_LANES = 1 << 20, 16, 16
COSTS = [
    (MAX_MEMORY_KIB + 1, 1, 1),
    (2**32 - 1, 1, 1),
    (64 << 20, 1, 1),
    (8191, 1, 1),
    (0, 1, 1),
    (8192, 0, 1),
    (8192, MAX_TIME_COST + 1, 1),
    (8192, 1, 0),
    (8192, 1, MAX_LANES + 1),
]


@pytest.mark.parametrize("costs", COSTS, ids=str)
def test_forged_costs_are_refused_before_argon2_runs(costs: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_run(*_: object) -> SecretBytes:
        raise AssertionError("Argon2 ran on forged costs")

    monkeypatch.setattr("hermes_core.keystore.key_backend.derive_master_key", must_not_run)
    backend = PassphraseBackend(SecretBytes.take(bytearray(b"passphrase")))
    wrapped = struct.pack(">IIB", *costs) + bytes(16 + 24 + 48)
    with pytest.raises(KeystoreTamperedError, match="out of bounds"):
        backend.unwrap(wrapped, b"")


CONFIGURED = Argon2Params(16384, 2, 1)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ((65536, 2), True),  # four times the memory
        ((65537, 1), False),
        ((16384, 8), True),  # four times the work
        ((16384, 9), False),
        ((65536, 3), False),
        ((8192, 16), True),
        ((8192, 1), True),
    ],
)
def test_a_header_may_ask_for_a_small_multiple_of_the_configured_cost(
    asked: tuple[int, int], taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[Argon2Params] = []

    def pay(_passphrase: SecretBytes, _salt: bytes, costs: Argon2Params) -> SecretBytes:
        paid.append(costs)
        return SecretBytes(32)

    monkeypatch.setattr("hermes_core.keystore.key_backend.derive_master_key", pay)
    passphrase = SecretBytes.take(bytearray(b"passphrase"))
    wrapped = struct.pack(">IIB", *asked, 1) + bytes(16 + 24 + 48)
    with pytest.raises(KeystoreBadPassphraseError if taken else KeystoreTooCostlyError):
        PassphraseBackend(passphrase, CONFIGURED).unwrap(wrapped, b"")
    assert paid == ([Argon2Params(*asked, 1)] if taken else [])
    with pytest.raises(KeystoreBadPassphraseError):
        PassphraseBackend(passphrase, CONFIGURED, any_cost=True).unwrap(wrapped, b"")
    assert paid[-1] == Argon2Params(*asked, 1)


def test_one_lane_and_many_are_the_same_function() -> None:
    """One lane is libsodium's, more are OpenSSL's: they agree where both can."""
    passphrase, salt = SecretBytes.take(bytearray(b"passphrase")), bytes(range(16))
    ours = derive_master_key(passphrase, salt, Argon2Params(9000, 2, 1))
    theirs = derive_argon2id(passphrase, salt, memory_kib=9000, time_cost=2, lanes=1, length=32)
    assert ours.equals(theirs)


def test_costs_at_their_bounds_are_taken() -> None:
    wrapped = struct.pack(">IIB", MAX_MEMORY_KIB, MAX_TIME_COST, MAX_LANES) + bytes(16 + 24 + 48)
    assert parse_costs(wrapped)[0] == Argon2Params(MAX_MEMORY_KIB, MAX_TIME_COST, MAX_LANES)


def test_the_passphrase_opens_only_with_its_own_costs_salt_and_file() -> None:
    passphrase = SecretBytes.take(bytearray(b"correct horse"))
    backend = PassphraseBackend(passphrase, Argon2Params(8192, 1, 1))
    master = generate_key(SYSTEM_RANDOM)
    wrapped = backend.wrap(master, b"context", SYSTEM_RANDOM)
    assert backend.unwrap(wrapped, b"context").equals(master)
    with pytest.raises(KeystoreBadPassphraseError):
        backend.unwrap(wrapped, b"another")
    with pytest.raises(KeystoreBadPassphraseError):
        PassphraseBackend(SecretBytes.take(bytearray(b"wrong"))).unwrap(wrapped, b"context")
    for at in (7, 9, 30, 80):  # passes, salt, nonce, box
        forged = bytearray(wrapped)
        forged[at] ^= 2
        with pytest.raises(KeystoreBadPassphraseError):
            backend.unwrap(bytes(forged), b"context")


@settings(max_examples=400)
@given(st.binary(max_size=400), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_keystore_errors(data: bytes, magic: bool) -> None:
    for raw in (data, with_checksum(b"HERMESKS\0\1" + data)) if magic else (data,):
        try:
            header = parse_header(raw)
            unwrap_master(header, TransparentBackend(1))
            parse_costs(header.wrapped)
        except KeystoreError:
            continue


def test_memory_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> SecretBytes:
        raise MemoryError

    monkeypatch.setattr("hermes_core.keystore.key_backend.derive_master_key", out_of_memory)
    with pytest.raises(KeystoreError, match="8192 KiB"):
        PassphraseBackend(SecretBytes.take(bytearray(b"p")), Argon2Params(8192, 1, 1)).wrap(
            generate_key(SYSTEM_RANDOM), b"", SYSTEM_RANDOM
        )
