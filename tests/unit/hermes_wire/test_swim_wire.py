"""Messages of SWIM: the round trip, each bound at it and one past it, and that the simulator charges their real size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hermes_core.errors import ProtocolError
from hermes_core.ids import MAX_POSITION, NodeId
from hermes_core.mesh.swim import messages as swim
from hermes_proto.v2 import swim_pb2
from hermes_wire.swim import build_swim, parse_swim
from tests.mesh.costs import measure_bytes
from tests.support.swim_samples import ACCUSATION, DEPARTURE, DESCRIPTOR, FACTS, MESSAGES, A


def encode(message: swim.SwimMessage) -> bytes:
    return build_swim(message).SerializeToString()


def parse(data: bytes) -> swim.SwimMessage:
    return parse_swim(swim_pb2.SwimMessage.FromString(data))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message: swim.SwimMessage) -> None:
    assert parse(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_the_simulator_charges_the_bytes_that_a_message_has(message: swim.SwimMessage) -> None:
    size = len(encode(message))
    assert abs(measure_bytes(message) - size) <= max(2, size // 50)


def test_every_kind_has_a_sample() -> None:
    fields = swim_pb2.SwimMessage.DESCRIPTOR.oneofs_by_name["body"].fields
    assert {build_swim(message).WhichOneof("body") for message in MESSAGES} == {field.name for field in fields}


def _in_a_ping(fact: swim.Fact) -> swim.Ping:
    return swim.Ping(1, facts=(fact,))


ENTRY = swim.ListedMember(A, 1, b"m" * 8)
TOO_MUCH: dict[str, Any] = {
    "sequence number": swim.Ping(MAX_POSITION + 1),
    "nonce": swim.Ping(1, b"n" * 15, "a"),
    "nonce of nobody": swim.Ping(1, b"n" * 16),
    "asker without a nonce": swim.Ping(1, b"", "a"),
    "asker": swim.Ping(1, b"n" * 16, "NOT A NAME"),
    "signature": swim.Pong(1, b"s" * 63),
    "facts": swim.Ping(1, facts=FACTS[:1] * (swim.MAX_FACTS + 1)),
    "request without a nonce": swim.PingRequest(1, A, b""),
    "target": swim.PingRequest(1, NodeId("x" * 64), b"n" * 16),
    "report": swim.PingReport(1, b"s" * 65),
    "sums": swim.SyncDigests((0,) * 63),
    "entries": swim.SyncListing(1, (ENTRY,) * (swim.MAX_ENTRIES + 1)),
    "mark": swim.SyncListing(1, (replace(ENTRY, mark=b"m" * 9),)),
    "listed incarnation": swim.SyncListing(1, (replace(ENTRY, incarnation=MAX_POSITION + 1),)),
    "wanted": swim.SyncWanted((A,) * (swim.MAX_WANTED + 1)),
    "departure's key": _in_a_ping(replace(DEPARTURE, subject_key=b"k" * 31)),
    "departure's incarnation": _in_a_ping(replace(DEPARTURE, incarnation=MAX_POSITION + 1)),
    "departure's signature": _in_a_ping(replace(DEPARTURE, signature=b"")),
    "accused key": _in_a_ping(replace(ACCUSATION, subject_key=b"k" * 33)),
    "accuser's key": _in_a_ping(replace(ACCUSATION, accuser_key=b"")),
    "accuser's incarnation": _in_a_ping(replace(ACCUSATION, accuser_incarnation=MAX_POSITION + 1)),
    "accusation of itself": _in_a_ping(replace(ACCUSATION, accuser=A)),
    "accusation's signature": _in_a_ping(replace(ACCUSATION, signature=b"s")),
    "address": _in_a_ping(swim.Alive(replace(DESCRIPTOR, address="a" * 301))),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_out_of_bounds_is_refused(what: str) -> None:
    with pytest.raises(ProtocolError):
        parse(encode(TOO_MUCH[what]))


@pytest.mark.parametrize(
    "message",
    [
        swim.Ping(MAX_POSITION, facts=FACTS[:1] * swim.MAX_FACTS),
        swim.SyncListing(1, (ENTRY,) * swim.MAX_ENTRIES),
        swim.SyncWanted((A,) * swim.MAX_WANTED),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_at_its_bound_is_taken(message: swim.SwimMessage) -> None:
    assert parse(encode(message)) == message


@pytest.mark.parametrize(
    "empty", [b"", swim_pb2.SwimMessage(facts=swim_pb2.SyncFacts(facts=[swim_pb2.Fact()])).SerializeToString()]
)
def test_what_is_empty_is_refused(empty: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(empty)
