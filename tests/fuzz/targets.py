"""Fuzz targets: each takes the bytes of an outsider, and raises only when a promise is broken.

The promises: no error but ProtocolError; a refused input changes nothing; nothing is accepted that the peer did not make.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.header import POSITION_END, parse_header
from hermes_core.ratchet.padding import pad, unpad
from tests.support.frames import encode_header
from tests.support.random_sources import ListedRandom
from tests.unit.hermes_core.ratchet.pairs import ALICE, BINDING, BOB, CHAT, Pair, describe_state, make_pair

SUFFIX = b"12345678"


def fuzz_header(data: bytes) -> None:
    try:
        header = parse_header(data)
    except ProtocolError:
        return
    assert encode_header(header)[:POSITION_END] == data[:POSITION_END]


def _make_pair(kind: ChannelKind, **changes: object) -> Pair:
    """Deterministic keys: a corpus of authentic inputs stays authentic."""
    first, second = (ListedRandom(bytes([seed] * 32) for seed in itertools.count(16 * side + 1)) for side in (0, 1))
    pair = make_pair(kind, ChannelParams(window=8, max_skip=64), randoms=(first, second), **changes)
    pair.rekey()
    return pair


_PAIR = _make_pair(ChannelKind.END_TO_END)
AUTHENTIC = {_PAIR.a.seal(b"content %d" % index, 0.0, aad_suffix=SUFFIX): b"content %d" % index for index in range(12)}
_RECEIVER = _PAIR.b.snapshot()
OFFER = _PAIR.a.start_offer(0.0)
_LEG = _make_pair(ChannelKind.LEG)
LEG_CLAIMS = _LEG.a.claims(BINDING)
_LEG_RECEIVER = _LEG.b.snapshot()


def _receiver() -> Channel:
    return Channel.restore(_RECEIVER, chat_id=CHAT, identity=BOB, params=_PAIR.b.params, random=SYSTEM_RANDOM)


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
    """(statement, identity key, confirmation tag) out of any bytes: u64 epoch and order, four fields with a length byte."""
    epoch, order = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big")
    fields, rest = [], data[16:]
    for _ in range(4):
        length = rest[0] if rest else 0
        fields.append(rest[1 : 1 + length])
        rest = rest[1 + length :]
    return KeyStatement(epoch, order, fields[0], fields[1]), fields[2], fields[3]


def encode_statement(statement: KeyStatement, identity_key: bytes, tag: bytes) -> bytes:
    fields = (statement.ephemeral, statement.signature, identity_key, tag)
    numbers = statement.epoch.to_bytes(8, "big") + statement.order.to_bytes(8, "big")
    return numbers + b"".join(bytes([len(field)]) + field for field in fields)


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
    """Claims out of any bytes: u64 epoch, three positions, the order, transcript hash and tag with a length byte each."""
    claims: list[EpochClaim] = []
    while len(data) >= 42 and len(claims) < 4:
        send_next, recv_next, recv_proven, order = _POSITIONS.unpack_from(data, 8)
        fields, rest = [], data[40:]
        for _ in range(2):
            length = rest[0] if rest else 0
            fields.append(rest[1 : 1 + length])
            rest = rest[1 + length :]
        epoch = int.from_bytes(data[:8], "big")
        claims.append(EpochClaim(epoch, fields[0], send_next, recv_next, recv_proven, order, fields[1]))
        data = rest
    return tuple(claims)


def encode_claims(claims: tuple[EpochClaim, ...]) -> bytes:
    return b"".join(
        claim.epoch.to_bytes(8, "big")
        + _POSITIONS.pack(claim.send_next, claim.recv_next, claim.recv_proven, claim.order)
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
