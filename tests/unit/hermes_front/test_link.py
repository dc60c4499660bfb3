"""The link between a front and its owner: what each hears of the other, credits, and how every rule is broken."""

from __future__ import annotations

import struct
from ipaddress import ip_network
from typing import Any

import pytest

from hermes_front.link.bounds import LATE, LATE_A_STREAM, NAME_BYTES, NAMES, NEWS, OPENINGS, TEXT_BYTES, LinkBounds
from hermes_front.link.end import AT_ONCE
from hermes_front.link.events import (
    Counted,
    CreditCame,
    DefectTold,
    Draining,
    Ended,
    Greeted,
    LinkBroken,
    MaterialCame,
    MessageCame,
    Pardoned,
    PeerEnded,
    PeerGone,
    PingAnswered,
    Proved,
    RefusalTold,
    SettingsCame,
    StreamOpened,
    WasReset,
)
from hermes_front.link.faults import Fault, LinkFaultError
from hermes_front.link.frames import HEAD, MOST_OF_FRONT, LinkKind, build_frame
from hermes_front.link.front_end import FrontEnd
from hermes_front.link.owner_end import OwnerEnd
from hermes_front.link.payloads import (
    REFUSALS,
    FrontHello,
    FrontSettings,
    Stats,
    StreamOpening,
    Told,
    build_credit,
    build_defect,
    build_hello,
    build_number,
    build_opening,
    build_stats,
    read_settings,
)
from hermes_h2.events import Refusal
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.tls_context import PemMaterial
from tests.unit.hermes_front.ends import PATH, RUN, SMALL, Ends, fault_of, hear

OPENING = StreamOpening(PATH, "192.0.2.1", 4711, frozenset({"app-1", "app-1.example"}))


def test_a_stream_from_its_opening_to_its_end() -> None:
    ends = Ends()
    stream = ends.front.open(OPENING)
    ends.front.send(stream, b"hello")
    assert ends.to_owner() == [StreamOpened(1, OPENING), MessageCame(1, b"hello")]
    ends.owner.prove(stream)
    ends.owner.send(stream, b"welcome")
    ends.owner.end(stream, 14, "this server stops")
    assert ends.to_front() == [Proved(1), MessageCame(1, b"welcome"), Ended(1, 14, "this server stops")]
    ends.front.lose_peer(stream)
    assert ends.to_owner() == []
    assert ends.front.streams == ends.owner.streams == 0


def test_a_peer_that_has_said_everything_and_one_that_left() -> None:
    ends = Ends()
    first, second = ends.open(), ends.open()
    ends.front.end_peer(first)
    ends.front.lose_peer(second)
    assert ends.to_owner() == [PeerEnded(first), PeerGone(second)]
    ends.owner.send(first, b"an answer")
    ends.owner.send(second, b"nobody is there")
    ends.owner.reset(first)
    assert ends.to_front() == [MessageCame(first, b"an answer"), WasReset(first)]


def test_what_was_on_its_way_when_a_stream_ended_is_no_fault() -> None:
    ends = Ends()
    stream = ends.open()
    ends.front.send(stream, b"late")
    ends.front.end_peer(stream)
    ends.owner.end(stream, 0)
    assert ends.to_owner() == []
    ends.to_front()
    other = ends.open()
    ends.owner.prove(other)
    ends.owner.send(other, b"late as well")
    ends.owner.end(other, 0)
    ends.front.lose_peer(other)
    assert ends.to_front() == []


def test_news_of_the_link_itself() -> None:
    ends = Ends(greeted=False)
    assert ends.to_owner() == [Greeted(FrontHello(RUN))]
    settings = FrontSettings(Limits(), (PATH, "/other/Path"), SMALL)
    material = PemMaterial(b"certificate", b"key", b"ca")
    ends.owner.say_material(material)
    ends.owner.say_material(PemMaterial(b"certificate", b"key"))
    ends.owner.say_settings(settings)
    ends.owner.ping()
    ends.owner.drain(2.5)
    heard = ends.to_front()
    assert heard == [
        MaterialCame(material), MaterialCame(PemMaterial(b"certificate", b"key")), SettingsCame(settings), Draining(2.5)
    ]  # fmt: skip
    assert b"key" not in repr(heard).encode().replace(b"key_pem", b"")
    stats = Stats(3, 2, 99, tuple(range(len(REFUSALS))))
    told = Told(Refusal.TLS, "2001:db8::1", "no ALPN")
    ends.front.count(stats)
    ends.front.tell_refusal(told)
    ends.front.tell_defect("ValueError")
    ends.front.tell_defect("No space", of_system=True)
    assert ends.to_owner() == [
        PingAnswered(), Counted(stats), RefusalTold(told), DefectTold("ValueError", False), DefectTold("No space", True)
    ]  # fmt: skip
    assert not ends.owner.waits_for_answer


def test_settings_and_every_limit_in_them_arrive() -> None:
    limits = Limits(connections=11, trusted_proxies=(ip_network("10.0.0.0/8"),), setup_s=0.5)
    ends = Ends(greeted=False)
    ends.owner.say_settings(FrontSettings(limits, (PATH,), LinkBounds()))
    (came,) = ends.to_front()
    assert came == SettingsCame(FrontSettings(limits, (PATH,), LinkBounds()))


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{}", b'{"limits":1}', b"[" * 60_000])
def test_settings_that_are_none(text: bytes) -> None:
    with pytest.raises(LinkFaultError):
        read_settings(text)


def test_names_beyond_the_bounds_prove_nothing() -> None:
    names = frozenset(f"app-{number:03}" for number in range(NAMES + 1)) | {"x" * (NAME_BYTES + 1)}
    ends = Ends()
    ends.front.open(StreamOpening(PATH, "192.0.2.1", 4711, names))
    (opened,) = ends.to_owner()
    assert len(opened.opening.names) == NAMES
    assert opened.opening.names < names


def test_texts_are_cut_at_their_bound() -> None:
    ends = Ends()
    stream = ends.open()
    ends.owner.end(stream, 2, "ü" * TEXT_BYTES)
    (ended,) = ends.to_front()
    assert len(ended.text) == TEXT_BYTES // 2


def test_a_stream_that_asked_for_nothing_to_be_proved_is_pardoned_before_its_end() -> None:
    ends = Ends()
    stream = ends.open()
    ends.owner.pardon(stream)
    ends.owner.end(stream, 0)
    assert ends.to_front() == [Pardoned(stream), Ended(stream, 0, "")]
    ends.owner.pardon(stream)
    assert ends.to_front() == []


@pytest.mark.parametrize("proven", [False, True])
def test_credit_is_what_may_be_sent_and_comes_back_as_messages_are_taken(proven: bool) -> None:
    ends = Ends()
    stream = ends.open(proven=proven)
    for sender, carry, taker in ((ends.front, ends.to_owner, ends.owner), (ends.owner, ends.to_front, ends.front)):
        sent = 0
        while sender.may_send(stream):
            sender.send(stream, b"12345")
            sent += 1
        assert sent == (12 if proven else 4)
        assert len(carry()) == sent
        back = ends.to_front if sender is ends.front else ends.to_owner
        woken: list[Any] = []
        for _ in range(sent):
            taker.taken(stream, 5)
            woken += back()
        assert woken == [CreditCame(stream)]
        assert sender.may_send(stream)


def test_a_message_may_exceed_what_is_left_in_bytes_and_then_nothing_may_follow() -> None:
    ends = Ends()
    stream = ends.open(proven=True)
    for size in (100, 1_000, 1_000):
        assert ends.front.may_send(stream)
        ends.front.send(stream, bytes(size))
    assert not ends.front.may_send(stream)
    ends.to_owner()
    ends.owner.taken(stream, 100)
    assert CreditCame(stream) not in ends.to_front()
    ends.owner.taken(stream, 1_000)
    assert CreditCame(stream) in ends.to_front()


def test_proof_widens_both_directions_and_wakes_who_waits() -> None:
    ends = Ends()
    stream = ends.open()
    for _ in range(4):
        ends.front.send(stream, b"x")
        ends.owner.send(stream, b"y")
    assert not ends.front.may_send(stream)
    assert not ends.owner.may_send(stream)
    ends.to_owner()
    ends.owner.prove(stream)
    assert CreditCame(stream) in ends.owner.receive(b"")
    assert ends.to_front()[-2:] == [Proved(stream), CreditCame(stream)]
    assert ends.owner.waits == ends.front.waits == 1


def test_who_sends_without_asking_is_told_so() -> None:
    ends = Ends()
    stream = ends.open(proven=True)
    with pytest.raises(LinkFaultError):
        ends.front.send(stream, bytes(1_001))


def frame(kind: int, stream: int = 0, payload: bytes = b"") -> bytes:
    return build_frame(kind, stream, payload)


HELLO = frame(LinkKind.HELLO, 0, build_hello(FrontHello(RUN)))
OPEN = frame(LinkKind.OPEN, 1, build_opening(OPENING))
DATA = frame(LinkKind.DATA, 1, b"12345")
NO_REFUSALS = (0,) * len(REFUSALS)
BROKEN: list[tuple[Fault, bytes]] = [
    (Fault.UNKNOWN_KIND, HELLO + frame(LinkKind.END, 1, b"\0")),
    (Fault.UNKNOWN_KIND, HELLO + frame(99)),
    (Fault.TOO_LONG, HELLO + HEAD.pack(1_001, 1, LinkKind.DATA)),
    (Fault.TOO_LONG, HELLO + HEAD.pack(MOST_OF_FRONT[LinkKind.OPEN] + 1, 1, LinkKind.OPEN)),
    (Fault.NOT_GREETED, OPEN),
    (Fault.NOT_GREETED, HELLO + HELLO),
    (Fault.WRONG_VERSION, frame(LinkKind.HELLO, 0, struct.pack(">HQBBBB", 99, RUN, 0, 0, 0, 0))),
    (Fault.WRONG_RUN, frame(LinkKind.HELLO, 0, build_hello(FrontHello(RUN + 1)))),
    (Fault.MALFORMED, frame(LinkKind.HELLO, 0, b"short")),
    (Fault.STREAM_NUMBER, frame(LinkKind.HELLO, 1, build_hello(FrontHello(RUN)))),
    (Fault.STREAM_NUMBER, HELLO + OPEN + OPEN),
    (Fault.STREAM_NUMBER, HELLO + frame(LinkKind.OPEN, 0, build_opening(OPENING))),
    (Fault.STREAM_NUMBER, HELLO + frame(LinkKind.DATA, 1, b"x")),
    (Fault.STREAM_NUMBER, HELLO + frame(LinkKind.HALF, 1)),
    (Fault.STREAM_NUMBER, HELLO + frame(LinkKind.GONE, 1)),
    (Fault.STREAM_NUMBER, HELLO + frame(LinkKind.CREDIT, 1, build_credit(1, 1))),
    (Fault.TOO_MANY_STREAMS, HELLO + b"".join(frame(LinkKind.OPEN, n, build_opening(OPENING)) for n in (1, 2, 3, 9))),
    (Fault.NO_CREDIT, HELLO + OPEN + 5 * DATA),
    (Fault.TOO_MUCH_CREDIT, HELLO + OPEN + frame(LinkKind.CREDIT, 1, build_credit(1, 0))),
    (Fault.TOO_MUCH_CREDIT, HELLO + OPEN + frame(LinkKind.CREDIT, 1, build_credit(1, 1))),
    (Fault.MALFORMED, HELLO + OPEN + frame(LinkKind.CREDIT, 1, build_credit(0, 1))),
    (Fault.TOO_OFTEN, HELLO + (NEWS + 1) * frame(LinkKind.STATS, 0, build_stats(Stats()))),
    (Fault.TOO_OFTEN, HELLO + OPEN + (2 + LATE + 3 * LATE_A_STREAM) * frame(LinkKind.GONE, 1)),
    (Fault.TOO_OFTEN, HELLO + OPEN + frame(LinkKind.GONE, 1) + (1 + LATE + 3 * LATE_A_STREAM) * DATA),
    (
        Fault.TOO_OFTEN,
        HELLO
        + b"".join(frame(LinkKind.OPEN, n, build_opening(OPENING)) + frame(LinkKind.GONE, n) for n in range(1, OPENINGS + 8)),
    ),
    (Fault.STRANGER_TOO_LONG, HELLO + OPEN + frame(LinkKind.DATA, 1, bytes(101))),
    (Fault.AFTER_END, HELLO + OPEN + frame(LinkKind.HALF, 1) + DATA),
    (Fault.AFTER_END, HELLO + OPEN + frame(LinkKind.HALF, 1) + frame(LinkKind.HALF, 1)),
    (Fault.UNKNOWN_PATH, HELLO + frame(LinkKind.OPEN, 1, build_opening(StreamOpening("/other", "", 0)))),
    (Fault.UNASKED, HELLO + frame(LinkKind.PONG, 0, build_number(1))),
    (Fault.UNASKED, HELLO + frame(LinkKind.PONG, 0, build_number(0))),
    (
        Fault.COUNTED_BACK,
        HELLO
        + frame(LinkKind.STATS, 0, build_stats(Stats(refusals=(1, *NO_REFUSALS[1:]))))
        + frame(LinkKind.STATS, 0, build_stats(Stats())),
    ),
    (Fault.MALFORMED, HELLO + frame(LinkKind.STATS, 0, b"\0")),
    (Fault.MALFORMED, HELLO + frame(LinkKind.OPEN, 1, b"\0")),
    (Fault.MALFORMED, HELLO + frame(LinkKind.OPEN, 1, build_opening(OPENING)[:-1])),
    (Fault.MALFORMED, HELLO + frame(LinkKind.OPEN, 1, build_opening(OPENING)[:-5] + b"\xff" * 5)),
    (Fault.MALFORMED, HELLO + frame(LinkKind.OPEN, 1, build_opening(StreamOpening(PATH, "", 0)) + 2 * b"\0\1a")),
    (Fault.MALFORMED, HELLO + frame(LinkKind.REFUSED, 0, b"")),
    (Fault.MALFORMED, HELLO + frame(LinkKind.REFUSED, 0, bytes([len(REFUSALS)]))),
    (Fault.MALFORMED, HELLO + frame(LinkKind.DEFECT, 0, b"\2")),
    (Fault.MALFORMED, HELLO + OPEN + frame(LinkKind.CREDIT, 1, b"\0")),
]


@pytest.mark.parametrize(("fault", "said"), BROKEN, ids=[f"{fault}-{number}" for number, (fault, _) in enumerate(BROKEN)])
def test_a_front_that_breaks_a_rule(fault: Fault, said: bytes) -> None:
    owner = OwnerEnd(RUN, [PATH], SMALL)
    events: list[Any] = []
    for byte in said:
        events += owner.receive(bytes([byte]))
    assert fault_of(events) is fault
    assert owner.receive(OPEN) == []
    owner.ping()
    assert not owner.has_output


def test_many_small_frames_come_in_turns() -> None:
    owner = OwnerEnd(RUN, [PATH], SMALL)
    said = HELLO + 2 * AT_ONCE * frame(LinkKind.DEFECT, 0, build_defect("x", of_system=False)) + OPEN[:5]
    told = [(len(owner.receive(said)), owner.has_input)]
    told += [(len(owner.go_on()), owner.has_input) for _ in range(3)]
    assert told == [(AT_ONCE, True), (AT_ONCE, True), (1, False), (0, False)]
    assert len(owner.receive(OPEN[5:])) == 1


def test_an_answer_allows_as_much_again() -> None:
    owner = OwnerEnd(RUN, [PATH], SMALL)
    owner.ping()
    news = NEWS * frame(LinkKind.STATS, 0, build_stats(Stats()))
    events = hear(owner, HELLO + news + frame(LinkKind.PONG, 0, build_number(1)) + news)
    assert not any(isinstance(event, LinkBroken) for event in events)


def test_what_crosses_an_end_is_no_fault() -> None:
    """However often: each stream that the owner ends allows what its front may have said by then."""
    owner = OwnerEnd(RUN, [PATH], SMALL)
    hear(owner, HELLO)
    for number in range(1, LATE):
        opening = frame(LinkKind.OPEN, number, build_opening(OPENING))
        crossing = 4 * frame(LinkKind.DATA, number, b"12345") + frame(LinkKind.HALF, number) + frame(LinkKind.GONE, number)
        owner.ping()
        events = hear(owner, opening + frame(LinkKind.PONG, 0, build_number(number)))
        owner.end(number, 0)
        assert not any(isinstance(event, LinkBroken) for event in events + hear(owner, crossing))


def test_every_rule_has_a_front_that_breaks_it() -> None:
    assert {fault for fault, _ in BROKEN} == set(Fault)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.UNKNOWN_KIND, HELLO),
        (Fault.STREAM_NUMBER, frame(LinkKind.PROVE, 5)),
        (Fault.STREAM_NUMBER, frame(LinkKind.END, 5, b"\0")),
        (Fault.STREAM_NUMBER, frame(LinkKind.RESET, 5)),
        (Fault.STREAM_NUMBER, frame(LinkKind.PING, 5, build_number(1))),
        (Fault.MALFORMED, frame(LinkKind.END, 1, b"")),
        (Fault.MALFORMED, frame(LinkKind.END, 1, b"\x11")),
        (Fault.MALFORMED, frame(LinkKind.PING, 0, b"")),
        (Fault.MALFORMED, frame(LinkKind.MATERIAL, 0, b"")),
        (Fault.MALFORMED, frame(LinkKind.MATERIAL, 0, struct.pack(">III", 5, 5, 5) + b"short")),
        (Fault.AFTER_END, frame(LinkKind.PROVE, 1) + frame(LinkKind.PROVE, 1)),
        (Fault.NOT_GREETED, frame(LinkKind.SETTINGS, 0, b"{}")),
    ],
)
def test_an_owner_that_breaks_a_rule(fault: Fault, said: bytes) -> None:
    ends = Ends()
    ends.open()
    assert fault_of(ends.front.receive(said)) is fault
    assert not ends.front.has_output


def test_numbers_of_streams_run_out_after_four_billion() -> None:
    front = FrontEnd(FrontHello(RUN))
    assert not front.exhausted
    front._last = (1 << 32) - 1
    assert front.exhausted
