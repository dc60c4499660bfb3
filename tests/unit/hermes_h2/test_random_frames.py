"""Frames drawn at random, mostly in a plausible order: nothing raises, and every bound holds (the fuzz target's checks)."""

from __future__ import annotations

import os
import random
import struct

from hpack import Encoder

from hermes_h2.frames import FrameKind, SettingKey, build_frame, build_settings
from tests.fuzz.transport import fuzz_h2
from tests.support.h2_peer import prefix, request_fields

RUNS = 400
SETTING_VALUES = (0, 1, 16_384, 65_535, 2**31 - 1, 2**32 - 1)
FLAGS = (0, 0, 1, 4, 5, 8, 9, 12, 32, 36, 44, 255)


def draw(rnd: random.Random) -> bytes:
    encoder = Encoder()
    wire = bytearray()
    stream = 1
    for _ in range(rnd.randint(1, 40)):
        kind = rnd.randint(0, 11)
        number, flags = rnd.choice((0, stream, stream, max(1, stream - 2), stream + 2, 2, 2**31 - 1)), rnd.choice(FLAGS)
        payload = {
            FrameKind.DATA: rnd.choice((b"", prefix(b"hello"), prefix(bytes(9000)), prefix(bytes(70_000))[:16_384])),
            FrameKind.HEADERS: encoder.encode(request_fields()),
            FrameKind.CONTINUATION: b"\x00\x01a\x01b" * rnd.randint(0, 400),
            FrameKind.WINDOW_UPDATE: struct.pack(">I", rnd.choice((0, 1, 65_535, 2**31 - 1))),
            FrameKind.RST_STREAM: b"\0\0\0\x08",
            FrameKind.PING: bytes(8),
            FrameKind.SETTINGS: build_settings({rnd.choice(list(SettingKey)): rnd.choice(SETTING_VALUES)})[9:],
            FrameKind.PRIORITY: bytes(5),
        }.get(kind, b"abc")  # type: ignore[call-overload]  # two kinds are unknown
        if rnd.random() < 0.1:
            payload = rnd.randbytes(rnd.randint(0, 60))
        if kind == FrameKind.HEADERS and rnd.random() < 0.8:
            number, flags, stream = stream, rnd.choice((4, 4, 5)), stream + 2
        wire += build_frame(kind, flags, number, payload[:16_384])  # type: ignore[arg-type]
    if rnd.random() < 0.3:
        wire[rnd.randrange(len(wire))] = rnd.randrange(256)
    return rnd.randbytes(1) + bytes(wire)


def test_random_frames_break_no_bound() -> None:
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print("SEED", seed)
    rnd = random.Random(seed)
    for _ in range(RUNS):
        fuzz_h2(draw(rnd))
