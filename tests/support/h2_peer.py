"""The client's end of an HTTP/2 connection, frame by frame: what a test wants to send, and what came back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hpack import Decoder, Encoder

from hermes_h2.bounds import Bounds
from hermes_h2.connection import H2Connection
from hermes_h2.events import ConnectionEvent, Refusal, Refused
from hermes_h2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    PREFACE,
    PREFIX,
    Code,
    FrameKind,
    SettingKey,
    build_frame,
    build_number,
    build_settings,
)

PATH = "/test.Service/Talk"


def prefix(message: bytes) -> bytes:
    """As gRPC sends it."""
    return PREFIX.pack(0, len(message)) + message


def request_fields(path: str = PATH, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]


def split_frames(data: bytes) -> tuple[list[tuple[int, int, int, bytes]], bytes]:
    """Whole frames as (kind, flags, stream, payload), and what is left."""
    frames, at = [], 0
    while len(data) - at >= HEAD_BYTES:
        head, flags, stream = HEAD.unpack_from(data, at)
        end = at + HEAD_BYTES + (head >> 8)
        if end > len(data):
            break
        frames.append((head & 0xFF, flags, stream, data[at + HEAD_BYTES : end]))
        at = end
    return frames, data[at:]


class Peer:
    """Drives a `H2Connection` in memory. `now` is the connection's clock; `frames` is everything that it answered."""

    def __init__(self, bounds: Bounds | None = None, *, greet: bool = True) -> None:
        self.now = 0.0
        self.connection = H2Connection(bounds or Bounds(), self.now)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.events: list[ConnectionEvent] = []
        self._rest = b""
        self._sent: Counter[int] = Counter()
        if greet:
            self.send(PREFACE + build_settings({}))

    def send(self, data: bytes) -> list[ConnectionEvent]:
        events = self.connection.receive(data, self.now)
        self.events += events
        self.collect()
        return events

    def collect(self) -> list[tuple[int, int, int, bytes]]:
        """What the connection has to send by now."""
        self.events += self.connection.pump()
        frames, self._rest = split_frames(self._rest + self.connection.take_output())
        self.frames += frames
        return frames

    def collect_data(self) -> list[bytes]:
        """The DATA among it."""
        return [payload for kind, _, _, payload in self.collect() if kind == FrameKind.DATA]

    def block(self, path: str = PATH, *more: tuple[str, str]) -> bytes:
        return self.encoder.encode(request_fields(path, *more))

    def open(self, stream: int = 1, *, flags: int = 0, path: str = PATH) -> list[ConnectionEvent]:
        return self.send(build_frame(FrameKind.HEADERS, END_HEADERS | flags, stream, self.block(path)))

    def data(self, stream: int, payload: bytes, *, end: bool = False) -> list[ConnectionEvent]:
        self._sent[0] += len(payload)
        self._sent[stream] += len(payload)
        return self.send(build_frame(FrameKind.DATA, END_STREAM if end else 0, stream, payload))

    def say(self, stream: int, message: bytes) -> None:
        """A message as an honest client sends it: frames of 16 KiB, within the windows it was given."""
        self.collect()
        rest = prefix(message)
        while rest:
            room = min(16_384, self.window(0), self.window(stream), len(rest))
            assert room > 0, "no window: this client would wait for ever"
            self.data(stream, rest[:room])
            rest = rest[room:]

    def window(self, stream: int) -> int:
        """What may still be sent, by what was sent and told."""
        told = sum(int.from_bytes(p, "big") for kind, _, s, p in self.frames if kind == FrameKind.WINDOW_UPDATE and s == stream)
        return 65_535 + told - self._sent[stream]

    def grant(self, stream: int, step: int) -> list[ConnectionEvent]:
        return self.send(build_number(FrameKind.WINDOW_UPDATE, stream, step))

    def acknowledge_settings(self) -> None:
        self.send(build_frame(FrameKind.SETTINGS, ACK, 0))

    def kinds(self) -> list[int]:
        return [kind for kind, *_ in self.frames]

    def of_kind(self, kind: FrameKind, stream: int | None = None) -> list[bytes]:
        return [payload for k, _, s, payload in self.frames if k == kind and stream in {None, s}]

    def headers(self, stream: int) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for kind, _, number, payload in self.frames:
            if kind == FrameKind.HEADERS and number == stream:
                fields: Any = self.decoder.decode(payload)
                found.append(dict(fields))
        return found

    def refusal(self) -> Refusal | None:
        return next((event.refusal for event in self.events if isinstance(event, Refused)), None)

    def code(self) -> Code | None:
        """Of the GOAWAY."""
        gone = self.of_kind(FrameKind.GOAWAY)
        return Code(int.from_bytes(gone[0][4:8], "big")) if gone else None

    def reset_code(self, stream: int) -> Code | None:
        resets = self.of_kind(FrameKind.RST_STREAM, stream)
        return Code(int.from_bytes(resets[-1], "big")) if resets else None


def window_setting(size: int) -> bytes:
    return build_settings({SettingKey.INITIAL_WINDOW_SIZE: size})
