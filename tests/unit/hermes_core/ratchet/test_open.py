"""What a receiver refuses: replays, gaps, forgeries, frames of other channels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
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


def derived(channel: Wired) -> tuple[int, int]:
    """Up to where keys of the receiving chain were derived: in rows, and on the way to the reserved position."""
    epoch = channel.epochs.require_current()
    return epoch.recv._end, epoch.recv.reserved


HOPS = [ChannelKind.LEG, ChannelKind.TIELINE]


@pytest.mark.parametrize("kind", HOPS)
@pytest.mark.parametrize("opened", [0, 3])
@pytest.mark.parametrize("ahead", [1, 2, 1024, 2**40])
def test_a_position_ahead_ends_the_stream_and_derives_no_key(kind: ChannelKind, opened: int, ahead: int) -> None:
    pair = make_ready_pair(kind)
    frames = seal_many(pair.a, opened + 1)
    for frame in frames[:opened]:
        pair.b.open(frame, 0.0)
    before = derived(pair.b)
    far = bytearray(frames[opened])
    far[POSITION_END - 8 : POSITION_END] = (opened + ahead).to_bytes(8, "big")
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(bytes(far), 0.0)
    assert (raised.value.code, raised.value.scope) == (ErrorCode.RATCHET_DESYNC, ErrorScope.STREAM)
    assert derived(pair.b) == before
    assert pair.b.open(frames[opened], 0.0) == b"%d" % opened


@pytest.mark.parametrize("kind", HOPS)
def test_frames_after_one_that_was_refused_unopened_end_nothing(kind: ChannelKind) -> None:
    pair = make_ready_pair(kind)
    frames = seal_many(pair.a, 3)
    pair.b.open(frames[0], 0.0)
    pair.b.lose_step()
    before = derived(pair.b)
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(frames[2], 0.0)
    assert (raised.value.code, raised.value.scope) == (ErrorCode.CHAT_NOT_READY, ErrorScope.FRAME)
    assert derived(pair.b) == before
    pair.resume()
    assert pair.b.open(pair.a.seal(b"agreed on", 0.0), 0.0) == b"agreed on"
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(seal_many(pair.a, 2)[1], 0.0)
    assert raised.value.scope is ErrorScope.STREAM


def test_an_epoch_that_was_answered_on_a_former_stream_is_not_in_step() -> None:
    """Its initiator may have sent frames over the former one: where they stand is agreed on by claims alone."""
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    lost = pair.a.seal(b"goes down with the stream", 0.0)
    pair.b.leave_stream()
    pair.b.check_confirm(2, tag, 0.0)
    refuse(pair.b, ErrorCode.CHAT_NOT_READY, pair.a.seal(b"ahead", 0.0))
    assert pair.b.open(lost, 0.0), "in order all the same"


def test_end_to_end_the_first_frame_of_an_epoch_may_lack_some() -> None:
    """After a rekey messages are sealed anew, and those that were delivered before are not opened again."""
    pair = make_end_to_end()
    frames = seal_many(pair.a, 8)
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, frames[1])
    for may_lack, position in ((3, 4), (255, 2**40)):
        far = bytearray(frames[4])
        far[POSITION_END - 8 : POSITION_END] = position.to_bytes(8, "big")
        before = derived(pair.b)
        with pytest.raises(ProtocolError) as raised:
            pair.b.open(bytes(far), 0.0, may_lack=may_lack)
        assert (raised.value.code, raised.value.scope) == (ErrorCode.RATCHET_DESYNC, ErrorScope.FRAME)
        assert derived(pair.b) == before
    assert pair.b.open(frames[4], 0.0, may_lack=4) == b"4"
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(frames[6], 0.0, may_lack=4)
    assert raised.value.code is ErrorCode.RATCHET_DESYNC
    assert pair.b.open(frames[5], 0.0) == b"5"


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


def make_end_to_end() -> Pair:
    return make_ready_pair(ChannelKind.END_TO_END)


def test_a_forged_far_frame_costs_no_memory() -> None:
    pair = make_end_to_end()
    frames = seal_many(pair.a, 200)
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(frames[199][:-1] + bytes([frames[199][-1] ^ 1]), 0.0, may_lack=256)
    assert raised.value.code is ErrorCode.AUTH_FAILED
    assert pair.b.epochs.require_current().recv._rows is None
    assert pair.b.open(frames[199], 0.0, may_lack=256) == b"199"


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
