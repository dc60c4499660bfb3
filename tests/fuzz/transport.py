"""Fuzz targets for what strangers say before anything else is known of them: HTTP/2 and gRPC's framing. Nothing raises."""

from __future__ import annotations

from collections.abc import Callable

from hermes_h2.bounds import Bounds
from hermes_h2.connection import H2Connection
from hermes_h2.events import Arrived, Gone, Refused, RequestOpened, Writable
from hermes_h2.frames import (
    END_HEADERS,
    END_STREAM,
    PREFACE,
    Code,
    FrameKind,
    SettingKey,
    build_frame,
    build_number,
    build_settings,
)
from tests.support.h2_peer import PATH, Peer, prefix

BOUNDS = Bounds(control_frames=20, openings=8, first_streams=4, streams=6, message_bytes=100_000, window=70_000)
MAX_HELD = 2 * 16_384 + BOUNDS.header_block_bytes + BOUNDS.streams * (BOUNDS.window + 16_384) + BOUNDS.lent_bytes
SHARE = 512
"""An answer may be so much longer than what it answers, besides what was echoed."""


def fuzz_h2(data: bytes) -> None:
    """The first byte says how the rest is cut and what the server does; then frames, behind a greeting that is in order."""
    how, wire = data[:1], data[1:]
    step = (1, 7, 100, 100_000)[how[0] & 3] if how else 100_000
    prove = bool(how and how[0] & 4)
    connection = H2Connection(BOUNDS, 0.0)
    connection.take_output()
    stream = PREFACE + build_settings({}) + wire if not how or not how[0] & 8 else wire
    over, echoed, answered = False, 0, 0
    for at in range(0, len(stream), step):
        for event in connection.receive(stream[at : at + step], at / 1000):
            assert not over, "a refusal is the last event"
            if isinstance(event, RequestOpened):
                assert event.fields[":path"]
                if prove:
                    connection.prove(event.stream)
            elif isinstance(event, Arrived):
                echoed += _echo(connection, event.stream)
            else:
                over = isinstance(event, Refused)
                assert over or isinstance(event, Gone | Writable) or event is not None
        connection.pump()
        answered += len(connection.take_output())
        assert connection.held_bytes <= MAX_HELD
        assert connection.streams <= BOUNDS.streams
    assert answered <= len(stream) * 3 + echoed + SHARE, "little in, much out"
    if over:
        assert connection.receive(PREFACE, 1.0) == []


def _echo(connection: H2Connection, stream: int) -> int:
    echoed = 0
    while isinstance(message := connection.take(stream), bytes):
        connection.send(stream, message)
        echoed += len(message) + 14
    if message is not None or connection.is_over(stream):
        connection.finish(stream, 0 if message is None else 8)
    return echoed + SHARE


TARGETS: dict[str, Callable[[bytes], None]] = {"h2": fuzz_h2}


def make_seeds() -> dict[str, list[bytes]]:
    """What a client does, whole and in turns; one of each frame."""
    peer = Peer()
    headers = build_frame(FrameKind.HEADERS, END_HEADERS, 1, peer.block())
    torn = peer.block()
    talk = (
        headers
        + build_frame(FrameKind.DATA, 0, 1, prefix(b"hello"))
        + build_frame(FrameKind.DATA, END_STREAM, 1, prefix(b"bye"))
    )
    frames = [
        build_frame(FrameKind.PING, 0, 0, bytes(8)),
        build_number(FrameKind.WINDOW_UPDATE, 0, 1000),
        build_number(FrameKind.WINDOW_UPDATE, 1, 1000),
        build_number(FrameKind.RST_STREAM, 1, Code.CANCEL),
        build_settings({SettingKey.INITIAL_WINDOW_SIZE: 3, SettingKey.MAX_FRAME_SIZE: 16_384}),
        build_frame(FrameKind.PRIORITY, 0, 1, bytes(5)),
        build_frame(FrameKind.GOAWAY, 0, 0, bytes(8)),
        build_frame(FrameKind.DATA, 8, 1, b"\x02" + prefix(b"padded") + bytes(2)),
        build_frame(FrameKind.HEADERS, 0, 3, torn[:5]) + build_frame(FrameKind.CONTINUATION, END_HEADERS, 3, torn[5:]),
        build_frame(FrameKind.HEADERS, END_HEADERS | END_STREAM | 32, 3, bytes(5) + peer.block(PATH, ("content-length", "0"))),
    ]
    hows = (b"\x03", b"\x07", b"\x02", b"\x01")
    return {"h2": [how + talk for how in hows] + [b"\x07" + headers + frame for frame in frames] + [b"\x0b" + PREFACE + talk]}
