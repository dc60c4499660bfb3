"""Every bound, at it and one past: what strangers send ends their connection, and what honest clients do never does."""

from __future__ import annotations

import os

import pytest

from hermes_h2.bounds import Bounds
from hermes_h2.events import Refusal
from hermes_h2.frames import (
    END_HEADERS,
    END_STREAM,
    PREFACE,
    Code,
    FrameKind,
    build_frame,
    build_number,
    build_settings,
)
from hermes_h2.messages import Unreadable
from tests.support.h2_peer import PATH, Peer, prefix, window_setting

BOUNDS = Bounds()
TINY_FIELD = b"\x00\x01a\x01b"


def open_proven(peer: Peer, stream: int = 1) -> None:
    peer.open(stream)
    peer.connection.prove(stream)
    peer.collect()


def test_a_header_block_of_many_pieces_or_bytes_is_refused() -> None:
    for part, pieces, expected in ((1, BOUNDS.continuations, None), (1, BOUNDS.continuations + 1, Refusal.HEADER_BLOCK)):
        peer = Peer()
        peer.send(build_frame(FrameKind.HEADERS, 0, 1, peer.block()))
        for _ in range(pieces):
            peer.send(build_frame(FrameKind.CONTINUATION, 0, 1, TINY_FIELD * part))
        assert peer.refusal() is expected
    peer = Peer()
    peer.send(build_frame(FrameKind.HEADERS, 0, 1, TINY_FIELD * (BOUNDS.header_block_bytes // 5)))
    assert peer.refusal() is None
    peer.send(build_frame(FrameKind.CONTINUATION, 0, 1, TINY_FIELD))
    assert (peer.refusal(), peer.code()) == (Refusal.HEADER_BLOCK, Code.ENHANCE_YOUR_CALM)
    assert peer.connection.held_bytes <= BOUNDS.header_block_bytes + 16_384


def test_rapid_reset_is_refused_as_one_thing() -> None:
    peer = Peer()
    for stream in range(1, 2 * (BOUNDS.first_streams + BOUNDS.first_refusals), 2):
        peer.open(stream)
        peer.send(build_number(FrameKind.RST_STREAM, stream, Code.CANCEL))
    assert peer.refusal() is None
    peer.open(stream + 2)
    assert (peer.refusal(), peer.code()) == (Refusal.STREAMS_BEFORE_PROOF, Code.ENHANCE_YOUR_CALM)


def test_windows_of_a_long_answer_are_earned_as_it_leaves() -> None:
    """As grpc-js says them, while the message is not over yet."""
    peer = Peer()
    open_proven(peer)
    peer.connection.send(1, bytes(4 << 20))
    sent = 65_535
    while sent < 4 << 20:
        peer.grant(1, 16_384)
        peer.grant(0, 16_384)
        sent += 16_384
        assert peer.refusal() is None


def test_a_flood_of_continuation_is_over_before_it_is_held() -> None:
    peer = Peer()
    peer.open()
    peer.data(1, prefix(b"innocent"))
    peer.send(build_frame(FrameKind.HEADERS, 0, 3, peer.block()))
    flood = build_frame(FrameKind.CONTINUATION, 0, 3, TINY_FIELD * 3000)
    for _ in range(100):
        peer.send(flood)
    assert peer.refusal() is Refusal.HEADER_BLOCK
    assert peer.connection.held_bytes < 32_768


def test_a_list_of_tiny_fields_counts_as_what_it_becomes() -> None:
    peer = Peer()
    fields = BOUNDS.header_list_bytes // 34
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 1, TINY_FIELD * (fields + 1)))
    assert (peer.refusal(), peer.code()) == (Refusal.HEADER_BLOCK, Code.ENHANCE_YOUR_CALM)


def test_a_table_entry_that_is_named_again_and_again_counts_each_time() -> None:
    peer = Peer()
    entry = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 1, entry + b"\xbe" * 1000))
    assert peer.refusal() is Refusal.HEADER_BLOCK


@pytest.mark.parametrize("block", [b"\xff" * 40, b"\x80", b"\x40\x05abc", b"\x3f" + b"\xff" * 30, b"\x00\x81\x00"])
def test_what_is_no_hpack_ends_the_connection(block: bytes) -> None:
    peer = Peer()
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 1, block))
    assert (peer.refusal(), peer.code()) == (Refusal.COMPRESSION, Code.COMPRESSION_ERROR)


def test_header_blocks_have_a_budget() -> None:
    peer = Peer()
    open_proven(peer)
    for stream in range(3, 100, 2):
        block = peer.block(PATH, ("x-filler", os.urandom(2000).hex()))
        peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, stream, block))
        peer.connection.finish(stream, 0)
    assert peer.refusal() is Refusal.HEADER_BUDGET


def test_before_proof_a_connection_opens_sixteen_streams_ever() -> None:
    peer = Peer()
    for stream in range(1, 2 * BOUNDS.first_streams, 2):
        peer.open(stream)
        peer.send(build_number(FrameKind.RST_STREAM, stream, Code.CANCEL))
    assert len(peer.of_kind(FrameKind.RST_STREAM)) == 0
    late = range(2 * BOUNDS.first_streams + 1, 2 * (BOUNDS.first_streams + BOUNDS.first_refusals), 2)
    for stream in late:
        assert peer.open(stream) == []
        assert peer.reset_code(stream) is Code.REFUSED_STREAM, "a client opens it again, which costs this end next to nothing"
    assert peer.refusal() is None
    peer.open(late[-1] + 2)
    assert (peer.refusal(), peer.code()) == (Refusal.STREAMS_BEFORE_PROOF, Code.ENHANCE_YOUR_CALM)


def test_a_stream_that_was_answered_and_pardoned_is_none_of_the_sixteen() -> None:
    peer = Peer()
    for number in range(4 * BOUNDS.first_streams):
        stream = 2 * number + 1
        peer.open(stream, flags=END_STREAM)
        peer.connection.pardon(stream)
        peer.connection.finish(stream, 0)
        peer.collect()
        peer.connection.pardon(stream)  # it is over: this has no effect
    assert peer.of_kind(FrameKind.RST_STREAM) == []
    for _ in range(BOUNDS.first_streams):
        stream += 2
        peer.open(stream)
    assert peer.of_kind(FrameKind.RST_STREAM) == []
    peer.open(stream + 2)
    assert peer.reset_code(stream + 2) is Code.REFUSED_STREAM


def test_a_client_that_opens_many_streams_at_once_is_told_how_many_and_when_there_are_more() -> None:
    peer = Peer()
    for stream in range(1, 161, 2):
        peer.open(stream)
    assert peer.connection.streams == BOUNDS.first_streams
    peer.connection.prove(1)
    peer.collect()
    told = [int.from_bytes(payload[2:6], "big") for payload in peer.of_kind(FrameKind.SETTINGS) if payload]
    assert told == [BOUNDS.first_streams, BOUNDS.streams]
    for stream in range(161, 321, 2):
        peer.open(stream)
    assert peer.connection.streams == BOUNDS.first_streams + 80
    assert peer.refusal() is None


def test_a_proven_connection_opens_as_many_as_it_proves() -> None:
    peer = Peer()
    for stream in range(1, 4 * BOUNDS.openings, 2):
        open_proven(peer, stream)
        peer.connection.finish(stream, 0)
        peer.collect()
    assert peer.refusal() is None


def test_rapid_reset_after_a_proof_is_held_to_a_budget() -> None:
    peer = Peer()
    open_proven(peer)
    count = 0
    for stream in range(3, 1 << 20, 2):
        peer.open(stream)
        peer.send(build_number(FrameKind.RST_STREAM, stream, Code.CANCEL))
        count += 1
        if peer.refusal():
            break
    assert peer.refusal() in {Refusal.OPENINGS, Refusal.CONTROL_FRAMES, Refusal.HEADER_BUDGET}
    assert count <= BOUNDS.openings
    assert peer.connection.streams <= 2


def test_streams_at_once_are_refused_one_past_the_bound() -> None:
    peer = Peer(Bounds(streams=3))
    for stream in (1, 3, 5):
        peer.open(stream)
    peer.open(7)
    assert peer.reset_code(7) is Code.REFUSED_STREAM
    assert peer.refusal() is None


@pytest.mark.parametrize(
    "frame",
    [
        build_frame(FrameKind.PING, 0, 0, bytes(8)),
        build_settings({}),
        window_setting(65_535),
        build_number(FrameKind.WINDOW_UPDATE, 0, 1),
        build_number(FrameKind.WINDOW_UPDATE, 1, 1),
        build_frame(FrameKind.PRIORITY, 0, 1, bytes(5)),
        build_frame(FrameKind.DATA, 0, 1),
        build_frame(FrameKind.GOAWAY, 0, 0, bytes(8)),
        build_frame(0xAA, 0, 0, b"grease"),  # type: ignore[arg-type]  # a kind that nobody knows
        build_frame(FrameKind.PING, 1, 0, bytes(8)),
        build_frame(FrameKind.SETTINGS, 1, 0),
    ],
    ids=["ping", "settings", "window setting", "window", "stream window", "priority", "empty data", "goaway", "unknown",
         "ping ack", "settings ack"],
)  # fmt: skip
def test_frames_that_carry_nothing_have_a_budget_that_time_refills(frame: bytes) -> None:
    peer = Peer()
    peer.open()
    for _ in range(BOUNDS.control_frames - 2):
        peer.send(frame)
    assert peer.refusal() is None
    for _ in range(10):
        peer.now += 1.0
        for _ in range(int(BOUNDS.control_frames_per_s) // 2):
            peer.send(frame)
    assert peer.refusal() is None
    for _ in range(2 * BOUNDS.control_frames):
        peer.send(frame)
    assert (peer.refusal(), peer.code()) == (Refusal.CONTROL_FRAMES, Code.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("direction", ["reads", "writes"])
def test_a_client_that_pings_with_each_read_and_tells_windows_goes_on(direction: str) -> None:
    """As grpc-go does, for as long as messages move: a budget of time alone throws every such client out."""
    peer = Peer()
    open_proven(peer)
    for _ in range(5 * BOUNDS.control_frames):
        if direction == "reads":
            peer.connection.send(1, b"m" * 100)
            peer.collect()
            peer.send(build_frame(FrameKind.PING, 0, 0, bytes(8)))
            peer.grant(0, 105)
            peer.grant(1, 105)
        else:
            peer.data(1, prefix(b"m" * 100))
            assert peer.connection.take(1) == b"m" * 100
            peer.send(build_frame(FrameKind.PING, 0, 0, bytes(8)))
        assert peer.refusal() is None


def test_large_messages_pay_for_the_windows_that_they_need() -> None:
    peer = Peer()
    open_proven(peer)
    for _ in range(4):
        peer.connection.send(1, bytes(4 << 20))
        while sum(map(len, peer.collect_data())) or peer.connection.has_output:
            peer.grant(1, 16_384)
            peer.grant(0, 16_384)
    assert peer.refusal() is None


def test_windows_of_a_byte_at_a_time_are_not_paid_for_by_what_they_let_out() -> None:
    peer = Peer()
    peer.send(window_setting(0))
    peer.open()
    peer.connection.send(1, bytes(60_000))
    for _ in range(2 * BOUNDS.control_frames):
        peer.grant(1, 1)
    assert peer.refusal() is Refusal.CONTROL_FRAMES


def test_crumbs_of_a_message_have_a_budget() -> None:
    peer = Peer()
    peer.open()
    for byte in prefix(bytes(1000)):
        peer.data(1, bytes((byte,)))
    assert peer.refusal() is Refusal.CONTROL_FRAMES


@pytest.mark.parametrize("size", [65_536, 300_000, 4 << 20])
def test_messages_longer_than_the_window_arrive(size: int) -> None:
    peer = Peer()
    open_proven(peer)
    message = os.urandom(size)
    for _ in range(3):
        peer.say(1, message)
        assert peer.connection.take(1) == message
    peer.collect()
    assert BOUNDS.window // 2 <= peer.window(1) <= BOUNDS.window, "what was lent is given back, and what was taken is told"


def test_messages_that_wait_hold_their_peer_back() -> None:
    """Backpressure: lending must not turn into windows without end."""
    peer = Peer()
    open_proven(peer)
    sent = 0
    while peer.window(1) >= 10_005:
        peer.say(1, bytes(10_000))
        sent += 1
        assert sent < 1000
    assert peer.connection.held_bytes <= BOUNDS.window
    for _ in range(sent):
        assert peer.connection.take(1) == bytes(10_000)
    peer.collect()
    assert peer.window(1) >= BOUNDS.window // 2


def test_many_large_messages_at_once_are_lent_window_in_turn() -> None:
    bounds = Bounds(lent_bytes=4 << 20, message_bytes=4 << 20)
    peer = Peer(bounds)
    for stream in (1, 3, 5):
        open_proven(peer, stream)
        peer.data(stream, prefix(bytes(4 << 20))[:16_384])
    assert sum(peer.window(stream) > bounds.window for stream in (1, 3, 5)) == 1
    for stream in (1, 3, 5):
        for _ in range(255):
            peer.data(stream, bytes(16_384))
        peer.data(stream, bytes(5))
        assert peer.refusal() is None
        assert peer.connection.take(stream) == bytes(4 << 20)
        peer.collect()


def test_a_stream_that_ends_gives_back_what_it_was_lent() -> None:
    bounds = Bounds(lent_bytes=4 << 20)
    peer = Peer(bounds)
    for stream in (1, 3):
        open_proven(peer, stream)
        peer.data(stream, prefix(bytes(4 << 20))[:16_384])
    assert peer.window(3) <= bounds.window
    peer.send(build_number(FrameKind.RST_STREAM, 1, Code.CANCEL))
    assert peer.window(3) > bounds.window


def test_before_proof_only_small_messages_are_taken() -> None:
    peer = Peer()
    peer.open()
    peer.say(1, bytes(BOUNDS.first_message_bytes))
    assert peer.connection.take(1) == bytes(BOUNDS.first_message_bytes)
    peer.data(1, prefix(bytes(BOUNDS.first_message_bytes + 1))[:16_384])
    assert peer.connection.take(1) is Unreadable.TOO_LARGE


def test_before_proof_a_connection_holds_one_window_for_all_streams() -> None:
    peer = Peer()
    for stream in range(1, 2 * BOUNDS.first_streams, 2):
        peer.open(stream)
    full = prefix(bytes(16_379))
    for stream in range(1, 9, 2):
        peer.data(stream, full[: min(len(full), peer.window(0))])
    assert peer.connection.held_bytes <= 65_535
    peer.data(9, full)
    assert (peer.refusal(), peer.code()) == (Refusal.FLOW_CONTROL, Code.FLOW_CONTROL_ERROR)


def test_what_was_unread_before_the_proof_is_credited_once() -> None:
    peer = Peer()
    for stream in (1, 3):
        peer.open(stream)
        peer.data(stream, prefix(bytes(10_000)))
    peer.connection.prove(1)
    peer.collect()
    for stream in (1, 3):
        peer.connection.take(stream)
    peer.collect()
    assert peer.window(0) <= BOUNDS.connection_window


def test_a_stream_beyond_its_window_is_reset_and_no_other() -> None:
    peer = Peer()
    open_proven(peer)
    peer.open(3)
    for _ in range(5):
        peer.data(3, bytes(16_384))
    assert peer.reset_code(3) is Code.FLOW_CONTROL_ERROR
    assert peer.refusal() is None


def test_data_on_streams_that_this_end_ended_is_held_to_their_window() -> None:
    peer = Peer()
    open_proven(peer)
    peer.connection.reset(1)
    for _ in range(BOUNDS.window // 16_384):
        peer.data(1, bytes(16_384))
    assert peer.refusal() is None
    peer.data(1, bytes(16_384))
    assert peer.code() is Code.STREAM_CLOSED


def test_too_many_settings_in_one_frame_are_refused() -> None:
    peer = Peer()
    peer.send(build_frame(FrameKind.SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x01" * 65))
    assert peer.code() is Code.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(30), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"]
)
def test_what_is_not_http2_is_refused_at_its_first_bytes(hello: bytes) -> None:
    peer = Peer(greet=False)
    peer.send(hello)
    assert peer.refusal() is Refusal.PREFACE
    assert not PREFACE.startswith(hello)
