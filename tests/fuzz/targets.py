"""Fuzz targets: each takes the bytes of an outsider, and raises only when a promise is broken.

The promises: no error but ProtocolError; a refused input changes nothing; nothing is accepted that the peer did not make.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.suites import Suite
from hermes_core.errors import ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.header import POSITION_END, parse_header
from hermes_core.ratchet.padding import pad, unpad
from tests.support.frames import encode_header
from tests.unit.hermes_core.ratchet.pairs import ALICE, BINDING, BOB, CHAT, Pair, describe_state, make_pair, restore

SUFFIX = b"12345678"


def fuzz_header(data: bytes) -> None:
    try:
        header = parse_header(data)
    except ProtocolError:
        return
    assert encode_header(header)[:POSITION_END] == data[:POSITION_END]


class _Counting:
    """Each request gets a byte of its own, repeated."""

    def __init__(self, first: int) -> None:
        self._next = first

    def fill(self, buffer: bytearray) -> None:
        buffer[:] = bytes([self._next]) * len(buffer)
        self._next += 1


def _make_pair(kind: ChannelKind) -> Pair:
    """Deterministic keys: a corpus of authentic inputs stays authentic. ML-KEM draws bytes of its own, so epoch 1 has none."""
    params = ChannelParams(suites=(Suite.X25519_SHA256,), window=8, max_skip=64)
    pair = make_pair(kind, params, randoms=(_Counting(1), _Counting(17)))
    pair.rekey()
    return pair


_PAIR = _make_pair(ChannelKind.END_TO_END)
AUTHENTIC = {_PAIR.a.seal(b"content %d" % index, 0.0, aad_suffix=SUFFIX): b"content %d" % index for index in range(12)}
_RECEIVER = _PAIR.b.snapshot()
_PARAMS = ChannelParams(window=8, max_skip=64)
OFFER = restore(_PAIR.a.snapshot(), ALICE, _PARAMS, _Counting(2)).start_offer(0.0)
"""It lists every suite."""
_LEG = _make_pair(ChannelKind.LEG)
LEG_CLAIMS = _LEG.a.claims(BINDING)
_LEG_RECEIVER = _LEG.b.snapshot()


def _receiver() -> Channel:
    return Channel.restore(_RECEIVER, chat_id=CHAT, identity=BOB, params=_PARAMS, random=SYSTEM_RANDOM)


def fuzz_open(data: bytes) -> None:
    """A frame on an end-to-end channel."""
    channel = _receiver()
    before = describe_state(channel)
    try:
        content = channel.open(data, 0.0, aad_suffix=SUFFIX)
    except ProtocolError:
        assert describe_state(channel) == before
        return
    assert content == AUTHENTIC[data]


def fuzz_content(data: bytes) -> None:
    """What was sealed end to end: content and zeros, or refused."""
    try:
        content = unpad(data)
    except ProtocolError:
        return
    assert data.rstrip(b"\0") == pad(content, padding=False).rstrip(b"\0")


def parse_statement(data: bytes) -> tuple[KeyStatement, bytes, bytes]:
    """(statement, identity key, tag) out of any bytes: u64 epoch and order, six fields behind two bytes of length."""
    epoch, order = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big")
    fields, rest = [], data[16:]
    for _ in range(6):
        end = 2 + int.from_bytes(rest[:2], "big")
        fields.append(rest[2:end])
        rest = rest[end:]
    return KeyStatement(epoch, order, *fields[:4]), fields[4], fields[5]


def encode_statement(statement: KeyStatement, identity_key: bytes, tag: bytes) -> bytes:
    fields = (statement.suites, statement.ephemeral, statement.kem, statement.signature, identity_key, tag)
    numbers = statement.epoch.to_bytes(8, "big") + statement.order.to_bytes(8, "big")
    return numbers + b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def fuzz_offer(data: bytes) -> None:
    """An offer, with the identity key that came along."""
    statement, identity_key, _ = parse_statement(data)
    channel = _receiver()
    before = describe_state(channel)
    try:
        channel.answer_offer(statement, 0.0, peer_public_key=identity_key or None)
    except ProtocolError:
        assert describe_state(channel) == before
        return
    assert ALICE.public_key == channel.peer_public_key
    assert channel.pending_epoch == statement.epoch == 2


def fuzz_answer(data: bytes) -> None:
    """An answer with its confirmation tag: nobody but the peer, who never saw this offer, could make one."""
    statement, identity_key, tag = parse_statement(data)
    channel = _receiver()
    channel.start_offer(0.0)
    before = describe_state(channel)
    try:
        channel.complete(statement, tag, 0.0, peer_public_key=identity_key or None)
    except ProtocolError:
        assert describe_state(channel) == before
        return
    raise AssertionError("an answer to an offer nobody saw was accepted")


_POSITIONS = struct.Struct(">QQQQ")


def parse_claims(data: bytes) -> tuple[EpochClaim, ...]:
    """Claims out of any bytes: u64 epoch, three positions, the order, suite, transcript hash, tag with a length byte."""
    claims: list[EpochClaim] = []
    while len(data) >= 43 and len(claims) < 4:
        send_next, recv_next, recv_proven, order = _POSITIONS.unpack_from(data, 8)
        fields, rest = [], data[41:]
        for _ in range(2):
            length = rest[0] if rest else 0
            fields.append(rest[1 : 1 + length])
            rest = rest[1 + length :]
        epoch = int.from_bytes(data[:8], "big")
        claims.append(EpochClaim(epoch, data[40], fields[0], send_next, recv_next, recv_proven, order, fields[1]))
        data = rest
    return tuple(claims)


def encode_claims(claims: tuple[EpochClaim, ...]) -> bytes:
    return b"".join(
        claim.epoch.to_bytes(8, "big")
        + _POSITIONS.pack(claim.send_next, claim.recv_next, claim.recv_proven, claim.order)
        + bytes([claim.suite])
        + b"".join(bytes([len(field)]) + field for field in (claim.transcript_hash, claim.tag))
        for claim in claims
    )


def fuzz_resume(data: bytes) -> None:
    """Claims of a resume."""
    claims = parse_claims(data)
    channel = Channel.restore(_LEG_RECEIVER, chat_id=CHAT, identity=BOB, params=_LEG.b.params, random=SYSTEM_RANDOM)
    before = describe_state(channel)
    try:
        channel.resume(claims, BINDING, 0.0)
    except ProtocolError:
        assert describe_state(channel) == before
        return
    assert LEG_CLAIMS[0] in claims


TARGETS: dict[str, Callable[[bytes], None]] = {
    "header": fuzz_header,
    "open": fuzz_open,
    "content": fuzz_content,
    "offer": fuzz_offer,
    "answer": fuzz_answer,
    "resume": fuzz_resume,
}
