"""The small parts of the chat machines: payloads, buckets, timers, the two ends of exactly once in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_core.endpoint.delivery import Incoming, Outgoing
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.protocol import payload
from hermes_core.protocol.timers import Timer, TimerHeap, fire_due, next_due
from hermes_core.token_bucket import TokenBucket

EMPTY = 39 + 4 + 16
"""An end-to-end frame of no content without padding: header, length and tag."""


def test_payloads_are_as_documented() -> None:
    frame = bytes(range(EMPTY))
    data = payload.encode_data(5, frame)
    assert data == b"\x01" + (5).to_bytes(8, "big") + frame
    assert payload.parse_kind_and_seq(data) == (payload.DATA, 5)
    assert payload.parse_data_frame(data) == frame
    ack = payload.encode_ack(9, 3, b"t" * 16)
    assert ack == b"\x02" + (9).to_bytes(8, "big") + (3).to_bytes(4, "big") + b"t" * 16
    assert payload.parse_kind_and_seq(ack) == (payload.ACK, 9)
    assert payload.parse_ack(ack) == (9, 3, b"t" * 16)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x00" * 29,
        b"\x03" * 60,
        payload.encode_data(0, bytes(EMPTY)),
        payload.encode_data(2**63, bytes(EMPTY)),
        payload.encode_data(1, bytes(EMPTY - 1)),
        payload.encode_ack(1, 1, bytes(16)) + b"x",
        payload.encode_ack(1, 1, bytes(16))[:-1],
        payload.encode_ack(2**63, 1, bytes(16)),
    ],
)
def test_other_payloads_are_refused(bad: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        payload.parse_kind_and_seq(bad)
    assert caught.value.code is ErrorCode.INVALID_FRAME


def test_payload_bounds() -> None:
    assert payload.parse_kind_and_seq(payload.encode_data(2**63 - 1, bytes(EMPTY))) == (payload.DATA, 2**63 - 1)
    assert payload.parse_kind_and_seq(payload.encode_ack(0, 1, bytes(16))) == (payload.ACK, 0)


def test_bucket_allows_a_burst_then_a_rate() -> None:
    bucket = TokenBucket(3, 2.0, 100.0)
    for _ in range(3):
        assert bucket.peek(100.0) == 0
        bucket.take()
    assert bucket.peek(100.0) == 2000
    assert bucket.peek(101.5) == 500
    assert bucket.peek(102.0) == 0
    bucket.take()
    assert bucket.peek(1000.0) == 0
    for _ in range(3):
        bucket.take()
    assert bucket.peek(1000.0) > 0, "idle time earns no more than the burst"


def test_bucket_survives_a_clock_that_goes_back() -> None:
    bucket = TokenBucket(1, 10.0, 100.0)
    bucket.take()
    assert bucket.peek(50.0) == 10_000
    assert bucket.peek(60.0) == 0


def test_timer_fires_once_at_the_earliest_time() -> None:
    timers: TimerHeap[str] = TimerHeap()
    timers.schedule("a", 5.0)
    timers.schedule("a", 3.0)
    timers.schedule("a", 9.0)
    timers.schedule("b", 4.0)
    timers.schedule("c", 4.0)
    timers.cancel("c")
    assert timers.next_due() == 3.0
    assert timers.pop_due(2.9) == []
    assert timers.pop_due(4.0) == ["a", "b"]
    assert timers.next_due() is None
    assert timers.pop_due(100.0) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=60))
def test_timers_agree_with_a_plain_dict(schedule: list[tuple[int, int]]) -> None:
    timers: TimerHeap[int] = TimerHeap()
    plain: dict[int, int] = {}
    for key, when in schedule:
        timers.schedule(key, when)
        plain[key] = min(plain.get(key, when), when)
    assert timers.next_due() == min(plain.values(), default=None)
    assert sorted(timers.pop_due(25.0)) == sorted(key for key, when in plain.items() if when <= 25)
    assert timers.next_due() == min((when for when in plain.values() if when > 25), default=None)


@pytest.mark.parametrize("padding", [True, False])
def test_outgoing_window_in_messages_and_bytes(padding: bool) -> None:
    """The bytes are those of the frames that will leave."""
    outgoing, frame_bytes = Outgoing(), 39 + 16 + (128 if padding else 4 + 1)
    window = 3 * frame_bytes

    def add(content: bytes) -> int:
        return outgoing.add(content, 3, window, padding=padding).seq

    assert [add(b"x") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ProtocolError) as caught:
        add(b"x")
    assert caught.value.code is ErrorCode.BACKPRESSURE
    assert outgoing.acknowledge(2)
    longest = bytes(window - 2 * frame_bytes + frame_bytes - 39 - 16 - 4) if not padding else bytes(160 - 4)
    add(longest)
    with pytest.raises(ProtocolError):
        add(bytes(124))
    assert [message.seq for message in outgoing] == [3, 4]
    assert not outgoing.acknowledge(2)
    with pytest.raises(ProtocolError) as caught:
        outgoing.acknowledge(5)
    assert caught.value.code is ErrorCode.INVALID_FRAME
    assert outgoing.acknowledge(4)
    assert len(outgoing) == 0
    assert outgoing._bytes == 0


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_incoming_delivers_in_order_whatever_arrives(seed: int, count: int) -> None:
    rng = random.Random(seed)
    incoming, delivered = Incoming(), []
    arriving = [seq for seq in range(1, count + 1) for _ in range(rng.randint(1, 3))]
    rng.shuffle(arriving)
    for seq in arriving:
        incoming.hold(seq, b"%d" % seq, 100, 10_000)
        while (frame := incoming.next_frame()) is not None:
            delivered.append((incoming.deliver(), int(frame)))
    assert delivered == [(seq, seq) for seq in range(1, count + 1)]
    assert not incoming._held


def test_incoming_is_bounded() -> None:
    incoming = Incoming()
    assert incoming.hold(4, b"x", 4, 10)
    with pytest.raises(ProtocolError) as caught:
        incoming.hold(5, b"x", 4, 10)
    assert caught.value.code is ErrorCode.BACKPRESSURE
    assert incoming.hold(3, bytes(9), 4, 10)
    with pytest.raises(ProtocolError):
        incoming.hold(2, b"x", 4, 10)
    assert incoming.hold(1, bytes(50), 4, 10), "the one whose turn it is always finds room"
    assert incoming.next_frame() == bytes(50)


def test_newer_frame_takes_the_place_of_a_bad_one() -> None:
    incoming = Incoming()
    incoming.hold(1, b"bad", 4, 100)
    assert incoming.next_frame() == b"bad"
    assert incoming.next_frame() is None
    incoming.hold(1, b"good", 4, 100)
    assert incoming.next_frame() == b"good"
    assert incoming.deliver() == 1
    assert not incoming.hold(1, b"again", 4, 100)


def test_only_delivered_messages_are_acknowledged() -> None:
    incoming = Incoming()
    assert not incoming.acknowledge(1)
    incoming.hold(1, b"x", 4, 100)
    incoming.next_frame()
    incoming.deliver()
    assert incoming.acknowledge(1)
    assert not incoming.acknowledge(1)


class Kettle:
    """Something with two deadlines; the first may end it."""

    def __init__(self, boils_at: float | None, rings_at: float | None, *, fragile: bool = False) -> None:
        self.boils_at = boils_at
        self.rings_at = rings_at
        self.fragile = fragile
        self.broken = False
        self.fired: list[str] = []

    def boil(self, _now: float) -> None:
        self.fired.append("boils")
        self.boils_at = None
        self.broken = self.fragile

    def ring(self, _now: float) -> None:
        self.fired.append("rings")
        self.rings_at = None


KETTLE: tuple[Timer[Kettle], ...] = (
    Timer("boils", lambda kettle: kettle.boils_at, Kettle.boil),
    Timer("rings", lambda kettle: kettle.rings_at, Kettle.ring),
)


@pytest.mark.parametrize(
    ("boils_at", "rings_at", "fragile", "now", "due", "fired"),
    [
        (None, None, False, 9.0, None, []),
        (5.0, 3.0, False, 2.0, 3.0, []),
        (5.0, 3.0, False, 3.0, 3.0, ["rings"]),
        (5.0, 3.0, False, 5.0, 3.0, ["boils", "rings"]),
        (5.0, 3.0, True, 5.0, 3.0, ["boils"]),
    ],
)
def test_table_fires_what_is_due_in_its_order(
    boils_at: float | None, rings_at: float | None, fragile: bool, now: float, due: float | None, fired: list[str]
) -> None:
    kettle = Kettle(boils_at, rings_at, fragile=fragile)
    assert next_due(KETTLE, kettle) == due
    fire_due(KETTLE, kettle, now, over=lambda kettle: kettle.broken)
    assert kettle.fired == fired
