"""Hop payloads of claims: their sizes and bounds, and what the tag covers."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_ORDER, MAX_POSITION, ChannelKind
from hermes_core.protocol import payload
from hermes_core.protocol.validate import MIN_SEALED_BYTES
from hermes_core.ratchet.chat_claim import CLAIM_BYTES, CLAIM_NONCE_BYTES, ChatClaim, MessageCursor
from hermes_core.ratchet.header import OVERHEAD_BYTES
from tests.unit.hermes_core.ratchet.pairs import make_pair

NONCE = bytes(range(CLAIM_NONCE_BYTES))
CLAIM = ChatClaim(NONCE, 3, bytes(32), 4, 5, 6, MessageCursor(9, 8, 7), bytes(32))


def test_an_ask_and_a_claim_are_what_they_were() -> None:
    ask = payload.encode_ask(NONCE)
    assert payload.parse_kind_and_seq(ask) == (payload.CLAIM_ASK, 0)
    assert payload.parse_ask(ask) == NONCE
    claim = payload.encode_claim(CLAIM)
    assert payload.parse_kind_and_seq(claim) == (payload.CLAIM, 0)
    assert payload.parse_claim(claim) == CLAIM
    assert len(claim) == 1 + CLAIM_BYTES == 1 + 32 + 4 + 32 + 6 * 8 + 32
    assert len(ask) + OVERHEAD_BYTES[ChannelKind.LEG] >= MIN_SEALED_BYTES, "a node would refuse its frame"


@pytest.mark.parametrize("change", [-1, 1])
def test_another_size_is_no_claim_and_no_ask(change: int) -> None:
    for whole in (payload.encode_ask(NONCE), payload.encode_claim(CLAIM)):
        with pytest.raises(ProtocolError) as refused:
            payload.parse_kind_and_seq(whole[:change] if change < 0 else whole + b"\0")
        assert refused.value.code is ErrorCode.INVALID_FRAME


@pytest.mark.parametrize(
    "bad",
    [
        replace(CLAIM, epoch=0),
        replace(CLAIM, send_next=MAX_POSITION + 1),
        replace(CLAIM, recv_proven=MAX_POSITION + 1),
        replace(CLAIM, order=MAX_ORDER + 1),
        replace(CLAIM, cursor=MessageCursor(MAX_POSITION + 1, 8, 7)),
        replace(CLAIM, cursor=MessageCursor(9, MAX_POSITION + 1, 7)),
        replace(CLAIM, cursor=MessageCursor(9, 8, 0)),
        replace(CLAIM, cursor=MessageCursor(9, 8, 11)),
    ],
)
def test_a_number_out_of_bounds_is_refused(bad: ChatClaim) -> None:
    with pytest.raises(ProtocolError) as refused:
        payload.parse_claim(payload.encode_claim(bad))
    assert refused.value.code is ErrorCode.INVALID_FRAME


def test_numbers_at_their_bounds_are_taken() -> None:
    for good in (
        replace(CLAIM, cursor=MessageCursor(9, 0, 10)),
        replace(CLAIM, cursor=MessageCursor(0, 0, 1), order=MAX_ORDER),
    ):
        assert payload.parse_claim(payload.encode_claim(good)) == good


def test_every_byte_is_under_the_tag() -> None:
    pair = make_pair()
    pair.rekey()
    (claim,) = pair.a.chat_claims(NONCE, MessageCursor(5, 4, 3))
    assert pair.b.check_chat_claim(claim) is False
    data = payload.encode_claim(claim)
    for at in range(1, len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ProtocolError) as refused:
            pair.b.check_chat_claim(payload.parse_claim(changed))
        assert refused.value.code in {ErrorCode.AUTH_FAILED, ErrorCode.KEY_VERSION_MISMATCH, ErrorCode.INVALID_FRAME}
    with pytest.raises(ProtocolError) as refused:
        pair.a.check_chat_claim(claim)  # sent back
    assert refused.value.code is ErrorCode.AUTH_FAILED


def test_a_claim_shows_that_the_own_store_is_behind_and_moves_nothing() -> None:
    pair = make_pair()
    pair.rekey()
    (claim,) = pair.b.chat_claims(NONCE, MessageCursor(0, 0, 1))
    ahead = replace(claim, recv_proven=1)
    with pytest.raises(ProtocolError):
        pair.a.check_chat_claim(ahead)
    frame = pair.a.seal(b"x", 0.0)
    pair.b.open(frame, 0.0)
    before = pair.a.send_next, pair.a.recv_next
    (claim,) = pair.b.chat_claims(NONCE, MessageCursor(0, 1, 1))
    assert pair.a.check_chat_claim(claim) is False
    assert (pair.a.send_next, pair.a.recv_next) == before
    assert struct.unpack_from(">Q", payload.encode_claim(claim), 1 + 32 + 4 + 32 + 8)[0] == 1
