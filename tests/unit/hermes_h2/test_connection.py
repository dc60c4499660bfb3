"""Requests, messages, ends and statuses of one connection, as the core without IO sees them."""

from __future__ import annotations

import pytest

from hermes_h2.bounds import Bounds
from hermes_h2.events import Arrived, Gone, Refusal, RequestOpened, Writable
from hermes_h2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    MAX_STREAM,
    PADDED,
    PREFACE,
    Code,
    FrameKind,
    build_frame,
    build_number,
    build_settings,
)
from hermes_h2.messages import Unreadable
from tests.support.h2_peer import PATH, Peer, prefix, window_setting


def test_a_request_and_its_first_message_arrive() -> None:
    peer = Peer()
    (opened,) = peer.open()
    assert isinstance(opened, RequestOpened)
    assert (opened.stream, opened.fields[":path"], opened.fields["te"]) == (1, PATH, "trailers")
    assert peer.data(1, prefix(b"hello")) == [Arrived(1)]
    assert peer.connection.take(1) == b"hello"
    assert peer.connection.take(1) is None


@pytest.mark.parametrize("size", [1, 2, 7, 9, 1000])
def test_bytes_may_come_in_any_pieces(size: int) -> None:
    peer = Peer(greet=False)
    stream = PREFACE + build_settings({}) + build_frame(FrameKind.HEADERS, END_HEADERS, 1, peer.block())
    stream += build_frame(FrameKind.DATA, 0, 1, prefix(b"one") + prefix(b"two")[:4]) + build_frame(
        FrameKind.DATA, END_STREAM, 1, prefix(b"two")[4:]
    )
    for at in range(0, len(stream), size):
        peer.send(stream[at : at + size])
    assert [peer.connection.take(1) for _ in range(3)] == [b"one", b"two", None]
    assert peer.connection.is_over(1)
    assert peer.refusal() is None


def test_padding_is_no_part_of_a_message_and_gives_its_window_back() -> None:
    peer = Peer()
    peer.open()
    for _ in range(400):
        peer.send(build_frame(FrameKind.DATA, PADDED, 1, b"\xc8" + prefix(b"x") + bytes(200)))
        assert peer.connection.take(1) == b"x"
    assert peer.refusal() is None


def test_an_answer_has_headers_messages_and_a_status() -> None:
    peer = Peer()
    peer.open()
    assert peer.connection.send(1, b"hello")
    peer.connection.finish(1, 0)
    peer.collect()
    first, last = peer.headers(1)
    assert first == {":status": "200", "content-type": "application/grpc", "grpc-accept-encoding": "identity"}
    assert last == {"grpc-status": "0"}
    assert peer.of_kind(FrameKind.DATA, 1) == [prefix(b"hello")]
    assert peer.reset_code(1) is Code.NO_ERROR, "the peer had not said everything: it need not go on"
    assert peer.connection.streams == 0


def test_a_status_without_messages_is_one_block_and_its_text_is_quoted() -> None:
    peer = Peer()
    peer.open(flags=END_STREAM)
    peer.connection.finish(1, 12, "no such method: 100% \N{SNOWMAN}" + "x" * 200)
    peer.collect()
    (only,) = peer.headers(1)
    assert (only[":status"], only["grpc-status"]) == ("200", "12")
    assert only["grpc-message"].startswith("no such method: 100%25 %E2%98%83xxx")
    assert len(only["grpc-message"]) <= 126
    assert peer.reset_code(1) is None


def test_a_message_beyond_the_window_leaves_as_the_peer_takes_it() -> None:
    peer = Peer()
    peer.open()
    message = bytes(range(256)) * 400
    assert not peer.connection.send(1, message)
    peer.connection.finish(1, 0)
    assert peer.connection.streams == 1, "its end waits behind the message"
    peer.collect()
    assert sum(map(len, peer.of_kind(FrameKind.DATA, 1))) == 65_535
    peer.grant(1, 1 << 20)
    assert Writable(1) not in peer.events
    peer.grant(0, 1 << 20)
    assert Writable(1) in peer.events
    assert b"".join(peer.of_kind(FrameKind.DATA, 1)) == prefix(message)
    assert peer.headers(1)[-1] == {"grpc-status": "0"}
    assert peer.connection.streams == 0


def test_streams_that_wait_share_what_the_peer_takes() -> None:
    peer = Peer()
    for stream in (1, 3):
        peer.open(stream)
        peer.connection.send(stream, bytes(100_000))
    before = [sum(map(len, peer.of_kind(FrameKind.DATA, stream))) for stream in (1, 3)]
    assert sum(before) <= 65_535
    for stream in (1, 3):
        peer.grant(stream, 100_000)
    peer.grant(0, 4 * 16_384)
    after = [sum(map(len, peer.of_kind(FrameKind.DATA, stream))) for stream in (1, 3)]
    assert min(a - b for a, b in zip(after, before, strict=True)) >= 16_384


def test_windows_follow_the_peers_settings_even_below_nothing() -> None:
    peer = Peer()
    peer.open()
    peer.connection.send(1, bytes(60_000))
    peer.send(window_setting(10))
    peer.connection.send(1, b"late")
    peer.collect()
    sent = sum(map(len, peer.of_kind(FrameKind.DATA, 1)))
    peer.grant(1, 60_000)
    assert sum(map(len, peer.of_kind(FrameKind.DATA, 1))) == sent + 5, "the window is 5 bytes again"


def test_a_transport_that_takes_nothing_holds_messages_back() -> None:
    peer = Peer()
    peer.send(window_setting(1 << 30))
    peer.grant(0, 1 << 30)
    peer.open()
    peer.connection.set_paused(True)
    assert not peer.connection.send(1, b"later")
    peer.collect()
    assert peer.of_kind(FrameKind.DATA) == []
    peer.connection.set_paused(False)
    peer.collect()
    assert peer.of_kind(FrameKind.DATA) == [prefix(b"later")]
    bounds = Bounds()
    assert not peer.connection.send(1, bytes(4 << 20))
    assert len(peer.connection.take_output()) <= bounds.output_bytes + 16_384 + 9


def test_a_reset_drops_what_waits() -> None:
    peer = Peer()
    peer.open()
    peer.connection.send(1, bytes(100_000))
    peer.connection.reset(1)
    peer.collect()
    sent = sum(map(len, peer.of_kind(FrameKind.DATA, 1)))
    assert peer.reset_code(1) is Code.CANCEL
    peer.grant(0, 1 << 20)
    assert sum(map(len, peer.of_kind(FrameKind.DATA, 1))) == sent
    assert peer.data(1, prefix(b"on its way")) == []
    assert peer.refusal() is None


def test_a_reset_by_the_peer_is_told() -> None:
    peer = Peer()
    peer.open()
    assert peer.send(build_number(FrameKind.RST_STREAM, 1, Code.CANCEL)) == [Gone(1)]
    assert peer.connection.is_over(1)
    assert peer.connection.send(1, b"nobody"), "what is asked of a stream that is gone has no effect"
    peer.connection.finish(1, 0)
    peer.connection.prove(1)
    assert peer.collect() == []


def test_the_end_comes_after_the_messages_before_it() -> None:
    peer = Peer()
    peer.open()
    peer.data(1, prefix(b"one") + prefix(b"two"))
    assert peer.data(1, b"", end=True) == [Arrived(1)]
    assert not peer.connection.is_over(1)
    assert [peer.connection.take(1), peer.connection.take(1)] == [b"one", b"two"]
    assert peer.connection.is_over(1)


def test_half_a_message_at_the_end_is_no_message() -> None:
    peer = Peer()
    peer.open()
    peer.data(1, prefix(b"whole") + prefix(b"torn")[:6], end=True)
    assert peer.connection.take(1) == b"whole"
    assert peer.connection.take(1) is None
    assert peer.connection.is_over(1)


def test_what_cannot_be_read_is_told_when_it_is_its_turn() -> None:
    peer = Peer()
    peer.open()
    assert peer.data(1, prefix(b"fine") + b"\x01\0\0\0\x01x") == [Arrived(1)]
    assert peer.connection.take(1) == b"fine"
    assert peer.connection.take(1) is Unreadable.COMPRESSED
    peer.open(3)
    peer.data(3, (0).to_bytes(1, "big") + (5 << 20).to_bytes(4, "big"))
    assert peer.connection.take(3) is Unreadable.TOO_LARGE
    assert not peer.connection.is_over(3)


def test_go_away_takes_no_new_streams_and_keeps_those_that_stand() -> None:
    peer = Peer()
    peer.open()
    peer.connection.go_away()
    peer.connection.go_away()
    peer.collect()
    assert [int.from_bytes(payload[:4], "big") for payload in peer.of_kind(FrameKind.GOAWAY)] == [1]
    assert peer.open(3) == [Gone(3)] or peer.reset_code(3) is Code.REFUSED_STREAM
    peer.data(3, prefix(b"was on its way"))
    peer.grant(3, 1)
    peer.data(1, prefix(b"goes on"))
    assert peer.connection.take(1) == b"goes on"
    assert peer.refusal() is None


def test_an_end_is_said_in_two_steps() -> None:
    peer = Peer()
    peer.open()
    peer.connection.announce_end()
    peer.connection.announce_end()
    peer.collect()
    (farewell,) = peer.of_kind(FrameKind.PING)
    peer.open(3)
    assert peer.reset_code(3) is None
    peer.send(build_frame(FrameKind.PING, ACK, 0, bytes(8)))
    assert len(peer.of_kind(FrameKind.GOAWAY)) == 1
    peer.send(build_frame(FrameKind.PING, ACK, 0, farewell))
    assert peer.connection.leaving
    assert [int.from_bytes(payload[:4], "big") for payload in peer.of_kind(FrameKind.GOAWAY)] == [MAX_STREAM, 3]
    peer.open(5)
    assert peer.reset_code(5) is Code.REFUSED_STREAM
    assert peer.refusal() is None


def test_header_blocks_after_a_refused_stream_can_still_be_read() -> None:
    """The table of the compression is shared by all streams."""
    peer = Peer(Bounds(streams=1))
    peer.open()
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 3, peer.block("/table/Entry", ("x-new", "entry"))))
    assert peer.reset_code(3) is Code.REFUSED_STREAM
    peer.connection.finish(1, 0)
    (opened,) = peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 5, peer.block("/table/Entry", ("x-new", "entry"))))
    assert isinstance(opened, RequestOpened)
    assert opened.fields["x-new"] == "entry"


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "POST"), (":scheme", "http")],
        [(":method", "POST"), (":scheme", "http"), (":path", "")],
        [(":method", "POST"), (":method", "POST"), (":scheme", "http"), (":path", "/")],
        [(":method", "POST"), (":scheme", "http"), ("x", "y"), (":path", "/")],
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":status", "200")],
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("X-Upper", "y")],
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("connection", "close")],
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("te", "gzip")],
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("", "y")],
    ],
)
def test_malformed_requests_end_their_stream_and_no_other(fields: list[tuple[str, str]]) -> None:
    peer = Peer()
    peer.open()
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 3, peer.encoder.encode(fields)))
    assert peer.reset_code(3) is Code.PROTOCOL_ERROR
    assert peer.refusal() is None
    assert peer.connection.streams == 1


def test_a_length_that_was_declared_is_held_to() -> None:
    peer = Peer()
    peer.send(build_frame(FrameKind.HEADERS, END_HEADERS, 1, peer.block(PATH, ("content-length", "7"))))
    peer.data(1, prefix(b"three"), end=True)
    assert peer.reset_code(1) is Code.PROTOCOL_ERROR


def test_after_a_refusal_nothing_is_read() -> None:
    peer = Peer()
    peer.send(b"\0" * 9)
    assert peer.refusal() is Refusal.PROTOCOL
    assert peer.open() == []


def test_a_ping_is_answered_and_an_answer_is_told() -> None:
    peer = Peer()
    peer.send(build_frame(FrameKind.PING, 0, 0, b"12345678"))
    assert peer.of_kind(FrameKind.PING) == [b"12345678"]
    peer.connection.ping()
    peer.collect()
    assert len(peer.send(build_frame(FrameKind.PING, 1, 0, bytes(8)))) == 1
