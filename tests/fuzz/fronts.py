"""Fuzz targets for the link between fronts and their owner: a front may be anybody's by now. Nothing raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from hermes_front.link.bounds import LinkBounds, Room
from hermes_front.link.end import LinkEnd
from hermes_front.link.events import CreditCame, FrontEvent, LinkBroken, MessageCame, OwnerEvent, SettingsCame, StreamOpened
from hermes_front.link.frames import LinkKind, build_frame
from hermes_front.link.front_end import FrontEnd
from hermes_front.link.owner_end import OwnerEnd
from hermes_front.link.payloads import (
    FrontHello,
    FrontSettings,
    Stats,
    StreamOpening,
    Told,
    build_credit,
    build_defect,
    build_end,
    build_hello,
    build_material,
    build_number,
    build_opening,
    build_settings,
    build_stats,
    build_told,
)
from hermes_h2.events import Refusal
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.tls_context import PemMaterial

PATH = "/fuzz.Service/Talk"
RUN = 1
BOUNDS = LinkBounds(
    message_bytes=2_000, stranger_message_bytes=500, streams=4, stranger_room=Room(3, 600), proven_room=Room(5, 3_000)
)
MOST_WAITING = BOUNDS.streams * (BOUNDS.stranger_room.size + BOUNDS.proven_room.size + BOUNDS.message_bytes)
HELLO = build_frame(LinkKind.HELLO, 0, build_hello(FrontHello(RUN)))

E = TypeVar("E")


def fuzz_front_link(data: bytes) -> None:
    """What a front says. The first byte says how the rest is cut, whether it has greeted, and what the owner does."""
    how, wire = data[:1], data[1:]
    bits = how[0] if how else 0
    owner = OwnerEnd(RUN, [PATH], BOUNDS)
    stream = (b"" if bits & 8 else HELLO) + wire
    waiting: dict[int, int] = {}
    over = False
    for piece in _cut(stream, bits):
        for event in _hear(owner, piece):
            assert not over, "a fault is the last event"
            over = isinstance(event, LinkBroken)
            _serve(owner, event, waiting, bits)
        assert owner.streams <= BOUNDS.streams
        assert sum(waiting.values()) <= MOST_WAITING
        owner.take_output()
    if over:
        owner.ping()
        assert owner.receive(HELLO) == []
        assert not owner.has_output


def _hear(end: LinkEnd[E], data: bytes) -> Iterator[E | MessageCame | CreditCame | LinkBroken]:
    """All of it, as an end's shell does in several turns."""
    yield from end.receive(data)
    while end.has_input:
        yield from end.go_on()


def _serve(owner: OwnerEnd, event: OwnerEvent, waiting: dict[int, int], bits: int) -> None:
    """As a handler does: take what comes (4: let it wait), prove (16), answer, end (32)."""
    if isinstance(event, StreamOpened):
        waiting[event.stream] = 0
        if bits & 16:
            owner.prove(event.stream)
    elif isinstance(event, MessageCame):
        waiting[event.stream] += len(event.data)
        if not bits & 4:
            owner.taken(event.stream, waiting.pop(event.stream))
            waiting[event.stream] = 0
        if owner.may_send(event.stream):
            owner.send(event.stream, event.data)
        if bits & 32:
            owner.end(event.stream, 0)
            waiting[event.stream] = 0


def fuzz_owner_link(data: bytes) -> None:
    """What an owner says to a front, which has two streams."""
    how, wire = data[:1], data[1:]
    bits = how[0] if how else 0
    front = FrontEnd(FrontHello(RUN))
    front.receive(build_frame(LinkKind.SETTINGS, 0, build_settings(FrontSettings(Limits(), (PATH,), BOUNDS))))
    for _ in range(2):
        front.open(StreamOpening(PATH, "192.0.2.1", 1))
    over = False
    for piece in _cut(wire, bits):
        for event in _hear(front, piece):
            assert not over, "a fault is the last event"
            over = isinstance(event, LinkBroken)
            _pipe(front, event)
        front.take_output()
    assert front.streams <= 2


def _pipe(front: FrontEnd, event: FrontEvent) -> None:
    assert not isinstance(event, SettingsCame), "they came before"
    if isinstance(event, MessageCame):
        front.taken(event.stream, len(event.data))
        if front.may_send(event.stream):
            front.send(event.stream, b"an answer")


def _cut(wire: bytes, bits: int) -> list[bytes]:
    step = (1, 7, 100, 100_000)[bits & 3]
    return [wire[at : at + step] for at in range(0, len(wire), step)]


TARGETS: dict[str, Callable[[bytes], None]] = {"front-link": fuzz_front_link, "owner-link": fuzz_owner_link}


def make_seeds() -> dict[str, list[bytes]]:
    """One of each frame, and talk with many of them."""
    opening = build_frame(LinkKind.OPEN, 1, build_opening(StreamOpening(PATH, "192.0.2.1", 4711, frozenset({"app-1"}))))
    said = build_frame(LinkKind.DATA, 1, b"hello")
    of_front = [
        build_frame(LinkKind.CREDIT, 1, build_credit(1, 5)),
        build_frame(LinkKind.HALF, 1),
        build_frame(LinkKind.GONE, 1),
        build_frame(LinkKind.PONG, 0, build_number(1)),
        build_frame(LinkKind.STATS, 0, build_stats(Stats(3, 2, 1))),
        build_frame(LinkKind.REFUSED, 0, build_told(Told(Refusal.TLS, "2001:db8::1", "no ALPN"))),
        build_frame(LinkKind.DEFECT, 0, build_defect("ValueError", of_system=False)),
    ]
    of_owner = [
        build_frame(LinkKind.CREDIT, 1, build_credit(1, 5)),
        build_frame(LinkKind.MATERIAL, 0, build_material(PemMaterial(b"certificate", b"key", b"ca"))),
        build_frame(LinkKind.PROVE, 1),
        build_frame(LinkKind.PARDON, 1),
        build_frame(LinkKind.END, 1, build_end(14, "this server stops")),
        build_frame(LinkKind.RESET, 2),
        build_frame(LinkKind.PING, 0, build_number(1)),
        build_frame(LinkKind.DRAIN, 0, build_number(2_000)),
    ]
    talk = opening + 3 * said
    return {
        "front-link": [how + talk for how in (b"\x03", b"\x00", b"\x13", b"\x37")]
        + [b"\x13" + opening + frame for frame in of_front]
        + [b"\x0b" + HELLO + opening],
        "owner-link": [b"\x03" + said + frame + said for frame in of_owner] + [b"\x00" + b"".join(of_owner)],
    }
