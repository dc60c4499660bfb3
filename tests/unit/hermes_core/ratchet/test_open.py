"""What a receiver refuses: replays, gaps beyond the bound, forgeries, frames of other channels; and what it keeps of gaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChannelKind, ChatId, Role
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.header import POSITION_END, FrameHeader
from tests.support.frames import encode_header
from tests.unit.hermes_core.ratchet.pairs import CHAT, Pair, Wired, describe_state, make_ready_pair


def refuse(channel: Wired, code: ErrorCode, frame: bytes, now: float = 0.0, aad_suffix: bytes = b"") -> None:
    """`frame` gets `code`, and neither what is persisted nor what opens next has changed."""
    before = describe_state(channel)
    with pytest.raises(ProtocolError) as raised:
        channel.open(frame, now, aad_suffix=aad_suffix)
    assert raised.value.code is code
    assert describe_state(channel) == before


def seal_many(channel: Wired, count: int, now: float = 0.0) -> list[bytes]:
    return [channel.seal(b"%d" % index, now) for index in range(count)]


@pytest.mark.parametrize("kind", list(ChannelKind))
def test_a_replayed_frame(kind: ChannelKind) -> None:
    pair = make_ready_pair(kind)
    frames = seal_many(pair.a, 3)
    for frame in frames:
        pair.b.open(frame, 0.0)
    for frame in frames:
        refuse(pair.b, ErrorCode.REPLAYED_FRAME, frame)
    assert pair.b.open(pair.a.seal(b"next", 0.0), 0.0) == b"next"


@pytest.mark.parametrize("max_skip", [1, 7, 1024])
def test_a_gap_at_the_bound_and_one_past_it(max_skip: int) -> None:
    pair = make_ready_pair(max_skip=max_skip, window=1)
    frames = seal_many(pair.a, max_skip + 2)
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, frames[max_skip + 1])
    assert pair.b.open(frames[max_skip], 0.0) == b"%d" % max_skip
    assert pair.b.recv_next == max_skip + 1
    for frame in frames[:max_skip]:
        refuse(pair.b, ErrorCode.REPLAYED_FRAME, frame)
    assert pair.b.open(frames[max_skip + 1], 0.0) == b"%d" % (max_skip + 1)


def test_a_gap_inside_and_beyond_the_reserved_window() -> None:
    pair = make_ready_pair(window=16)
    frames = seal_many(pair.a, 200)
    for position in (0, 5, 15, 16, 40, 41, 150, 199):
        assert pair.b.open(frames[position], 0.0) == b"%d" % position
        assert pair.b.recv_reserved > position


def test_no_bit_of_a_frame_can_be_changed() -> None:
    pair = make_ready_pair(ChannelKind.END_TO_END)
    for _ in range(3):
        pair.b.open(pair.a.seal(b"before", 0.0), 0.0)
    frame = pair.a.seal(b"content", 0.0, aad_suffix=b"12345678")
    before = describe_state(pair.b)
    codes = set()
    for place in range(len(frame) * 8):
        forged = bytearray(frame)
        forged[place // 8] ^= 1 << place % 8
        with pytest.raises(ProtocolError) as raised:
            pair.b.open(bytes(forged), 0.0, aad_suffix=b"12345678")
        codes.add(raised.value.code)
        assert describe_state(pair.b) == before
    assert codes == {
        ErrorCode.INVALID_FRAME,
        ErrorCode.AUTH_FAILED,
        ErrorCode.KEY_VERSION_MISMATCH,
        ErrorCode.REPLAYED_FRAME,
        ErrorCode.RATCHET_DESYNC,
    }
    refuse(pair.b, ErrorCode.AUTH_FAILED, frame, aad_suffix=b"12345679")
    assert pair.b.open(frame, 0.0, aad_suffix=b"12345678") == b"content"


def test_every_truncation_is_refused() -> None:
    pair = make_ready_pair()
    frame = pair.a.seal(b"content", 0.0)
    for length in range(len(frame)):
        code = ErrorCode.INVALID_FRAME if length < POSITION_END + 16 else ErrorCode.AUTH_FAILED
        refuse(pair.b, code, frame[:length])


def forge(pair: Pair, **changes: object) -> bytes:
    header = FrameHeader(pair.b.kind, CHAT, 1, Role.INITIATOR, 0)
    return encode_header(replace(header, **changes)) + bytes(16)  # type: ignore[arg-type]


def test_frames_of_other_channels_epochs_and_directions() -> None:
    pair = make_ready_pair()
    refuse(pair.b, ErrorCode.INVALID_FRAME, forge(pair, kind=ChannelKind.TIELINE))
    refuse(pair.b, ErrorCode.INVALID_FRAME, forge(pair, chat_id=ChatId(bytes(16))))
    refuse(pair.b, ErrorCode.INVALID_FRAME, forge(pair, direction=Role.RESPONDER))
    refuse(pair.b, ErrorCode.KEY_VERSION_MISMATCH, forge(pair, epoch=2))
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, forge(pair, position=MAX_POSITION))
    beyond = bytearray(forge(pair))
    beyond[POSITION_END - 8] = 0x80
    refuse(pair.b, ErrorCode.INVALID_FRAME, bytes(beyond))
    refuse(pair.a, ErrorCode.INVALID_FRAME, pair.a.seal(b"to itself", 0.0))


def test_a_frame_is_bound_to_its_chat_and_kind() -> None:
    """The same keys under another kind or chat open nothing: the header is authenticated."""
    pair, other = make_ready_pair(ChannelKind.LEG), make_ready_pair(ChannelKind.TIELINE)
    frame = bytearray(pair.a.seal(b"x", 0.0))
    frame[1] = ChannelKind.TIELINE
    refuse(other.b, ErrorCode.AUTH_FAILED, bytes(frame))


# Keys of skipped positions


def make_end_to_end() -> Pair:
    return make_ready_pair(ChannelKind.END_TO_END)


def test_no_key_of_a_skipped_position_is_kept() -> None:
    pair = make_ready_pair(ChannelKind.LEG)
    first, second = seal_many(pair.a, 2)
    pair.b.open(second, 0.0)
    refuse(pair.b, ErrorCode.REPLAYED_FRAME, first)


def test_a_forged_far_frame_costs_no_memory() -> None:
    pair = make_end_to_end()
    seal_many(pair.a, 1024)
    frame = pair.a.seal(b"far", 0.0)
    refuse(pair.b, ErrorCode.AUTH_FAILED, frame[:-1] + bytes([frame[-1] ^ 1]))
    assert pair.b.epochs.current is not None
    assert pair.b.epochs.current.recv._rows is None
    assert pair.b.open(frame, 0.0) == b"far"


# Acknowledgements


def test_ack_tags() -> None:
    pair = make_end_to_end()
    epoch, tag = pair.b.ack_tag(7)
    assert (epoch, len(tag)) == (1, 16)
    pair.a.check_ack(7, epoch, tag)
    wrong: list[tuple[Channel, int, int, bytes, ErrorCode]] = [
        (pair.a, 8, 1, tag, ErrorCode.AUTH_FAILED),
        (pair.a, 7, 2, tag, ErrorCode.KEY_VERSION_MISMATCH),
        (pair.a, 7, 1, tag[:-1], ErrorCode.AUTH_FAILED),
        (pair.a, 7, 1, tag + b"\0", ErrorCode.AUTH_FAILED),
        (pair.b, 7, 1, tag, ErrorCode.AUTH_FAILED),  # reflected
        (pair.a, MAX_POSITION + 1, 1, tag, ErrorCode.INVALID_FRAME),
    ]
    for channel, seq, number, given, code in wrong:
        with pytest.raises(ProtocolError) as raised:
            channel.check_ack(seq, number, given)
        assert raised.value.code is code


def test_an_ack_shows_that_our_confirmation_arrived() -> None:
    pair = make_end_to_end()
    assert pair.a.confirm_tag() is not None
    epoch, tag = pair.b.ack_tag(0)
    with pytest.raises(ProtocolError):
        pair.a.check_ack(1, epoch, tag)
    assert pair.a.confirm_tag() is not None
    pair.a.check_ack(0, epoch, tag)
    assert pair.a.confirm_tag() is None


def test_an_ack_of_the_old_epoch_counts_while_it_overlaps() -> None:
    pair = make_end_to_end()
    epoch, tag = pair.b.ack_tag(3)
    pair.rekey()
    pair.a.check_ack(3, epoch, tag)
    pair.a.open(pair.b.seal(b"new", 0.0), 0.0)
    with pytest.raises(ProtocolError) as raised:
        pair.a.check_ack(3, epoch, tag)
    assert raised.value.code is ErrorCode.KEY_VERSION_MISMATCH
