"""The frame header: what is well-formed, every bound at it and one past it, and no other error than INVALID_FRAME."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_EPOCH, MAX_POSITION, ChannelKind, ChatId, Role
from hermes_core.ratchet.header import (
    HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    OVERHEAD_BYTES,
    POSITION_END,
    FrameHeader,
    parse_header,
)
from hermes_core.ratchet.padding import MAX_PADDED_BYTES
from tests.support.frames import encode_header
from tests.unit.hermes_core.ratchet.pairs import CHAT, make_ready_pair

HEADER = FrameHeader(ChannelKind.LEG, CHAT, 1, Role.INITIATOR, 0)


@given(
    st.builds(
        FrameHeader,
        st.sampled_from(list(ChannelKind)),
        st.binary(min_size=16, max_size=16).map(ChatId),
        st.integers(1, MAX_EPOCH),
        st.sampled_from(list(Role)),
        st.integers(0, MAX_POSITION),
    )
)
def test_round_trip(header: FrameHeader) -> None:
    encoded = encode_header(header)
    assert len(encoded) == HEADER_BYTES[header.kind]
    assert parse_header(encoded + bytes(16)) == header


@given(st.binary(max_size=80))
@example(b"")
def test_only_invalid_frame(frame: bytes) -> None:
    try:
        header = parse_header(frame)
    except ProtocolError as error:
        assert error.code is ErrorCode.INVALID_FRAME  # noqa: PT017
    else:
        assert encode_header(header)[:POSITION_END] == frame[:POSITION_END]


def refuse(frame: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        parse_header(frame)
    assert raised.value.code is ErrorCode.INVALID_FRAME


def change(place: int, value: int) -> bytes:
    frame = bytearray(encode_header(HEADER) + bytes(16))
    frame[place] = value
    return bytes(frame)


@pytest.mark.parametrize(("place", "value"), [(0, 0), (0, 1), (0, 3), (1, 0), (1, 4), (22, 2), (22, 255), (23, 0x80)])
def test_unknown_values(place: int, value: int) -> None:
    refuse(change(place, value))


def test_epoch_and_length_bounds() -> None:
    refuse(encode_header(replace(HEADER, epoch=0)) + bytes(16))
    for kind in ChannelKind:
        parse_header(encode_header(replace(HEADER, kind=kind)) + bytes(16))
        refuse(encode_header(replace(HEADER, kind=kind)) + bytes(15))


@pytest.mark.parametrize("kind", list(ChannelKind))
def test_longest_frame(kind: ChannelKind) -> None:
    pair = make_ready_pair(kind)
    longest = bytes(MAX_PLAINTEXT_BYTES[kind])
    frame = pair.a.seal(longest, 0.0)
    assert pair.b.open(frame, 0.0) == longest
    with pytest.raises(ProtocolError) as raised:
        pair.a.seal(longest + b"x", 0.0)
    assert raised.value.code is ErrorCode.INVALID_FRAME
    for call in (parse_header, lambda frame: pair.b.open(frame, 0.0)):
        with pytest.raises(ProtocolError) as raised:
            call(frame + b"x")
        assert raised.value.code is ErrorCode.INVALID_FRAME


def test_a_hop_frame_holds_the_longest_content() -> None:
    end_to_end, leg = make_ready_pair(ChannelKind.END_TO_END), make_ready_pair(ChannelKind.LEG)
    inner = end_to_end.a.seal(bytes(MAX_PADDED_BYTES), 0.0)
    assert len(inner) == MAX_PADDED_BYTES + OVERHEAD_BYTES[ChannelKind.END_TO_END]
    assert len(leg.b.open(leg.a.seal(bytes(9) + inner, 0.0), 0.0)) == 9 + len(inner)
