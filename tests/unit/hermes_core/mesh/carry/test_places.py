"""What a node takes on between two others: at most so many streams, so many of one node, one of a pair, at a rate."""

from __future__ import annotations

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.places import (
    BURST_S,
    MAX_OF_A_NODE,
    OPENING_REFILL_S,
    OPENINGS,
    CarryParams,
    CarryPlace,
    CarryPlaces,
    CarryRefusal,
    CarryRefusedError,
)

A, B = NodeId("a"), NodeId("b")


def refused(places: CarryPlaces, origin: str, target: str, now: float = 0.0) -> CarryRefusal:
    with pytest.raises(CarryRefusedError) as caught:
        places.take(NodeId(origin), NodeId(target), now)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    assert caught.value.retry_after_ms > 0
    return caught.value.reason


def test_as_many_streams_as_it_takes_and_no_more_until_one_ends() -> None:
    places = CarryPlaces(CarryParams(max_carried_streams=2))
    first, _ = places.take(A, B, 0.0)
    places.take(NodeId("c"), NodeId("d"), 0.0)
    assert refused(places, "e", "f") is CarryRefusal.FULL
    places.free(first)
    assert places.take(NodeId("e"), NodeId("f"), 0.0)[1] is None
    assert len(places) == 2


def test_none_where_it_is_set_to_none() -> None:
    assert refused(CarryPlaces(CarryParams(max_carried_streams=0)), "a", "b") is CarryRefusal.FULL


@pytest.mark.parametrize("at_the_other_end", [False, True])
def test_one_node_is_an_end_of_so_many(at_the_other_end: bool) -> None:
    places = CarryPlaces(CarryParams())
    for number in range(MAX_OF_A_NODE + 1):
        ends = (A, NodeId(f"n-{number}"))
        origin, target = reversed(ends) if at_the_other_end else ends
        if number < MAX_OF_A_NODE:
            places.take(origin, target, number * OPENING_REFILL_S)
    assert refused(places, origin, target, 1_000.0) is CarryRefusal.NODE_FULL


def test_a_pair_has_one_stream_the_newest_whoever_asked() -> None:
    places = CarryPlaces(CarryParams(max_carried_streams=1))
    first, nobody = places.take(A, B, 0.0)
    second, former = places.take(B, A, 0.0)
    assert (nobody, former) == (None, first)
    places.free(first)
    assert len(places) == 1, "the end of the former one frees nothing"
    places.free(second)
    assert len(places) == 0


def test_who_asks_too_often_is_refused_for_a_while_and_nobody_else() -> None:
    places = CarryPlaces(CarryParams())
    for _ in range(OPENINGS):
        places.take(A, B, 0.0)
    assert refused(places, "a", "b") is CarryRefusal.TOO_OFTEN
    places.take(B, A, 0.0)
    assert refused(places, "a", "b", OPENING_REFILL_S / 2) is CarryRefusal.TOO_OFTEN
    places.take(A, B, OPENING_REFILL_S)


def test_nobody_goes_to_themselves() -> None:
    with pytest.raises(ProtocolError) as caught:
        CarryPlaces(CarryParams()).take(A, A, 0.0)
    assert caught.value.code is ErrorCode.INVALID_FRAME


def send(places: CarryPlaces, place: CarryPlace, now: float, size_bytes: int, piece_bytes: int = 65_536) -> float:
    """Until when so much is through, with the waits that it asks for."""
    for _ in range(size_bytes // piece_bytes):
        now += places.pace(place, piece_bytes, now)
    return now


def test_a_pair_has_its_rate_and_what_it_did_not_use_for_a_moment_also_on_a_stream_anew() -> None:
    places = CarryPlaces(CarryParams(max_carried_kib=1024))
    place, _ = places.take(A, B, 100.0)
    assert send(places, place, 100.0, 1024 * 1024) == 100.0, "a burst"
    assert send(places, place, 100.0, 10 * 1024 * 1024) == pytest.approx(110.0)
    anew, _ = places.take(A, B, 110.0)
    assert send(places, anew, 110.0, 5 * 1024 * 1024) == pytest.approx(115.0)
    assert send(places, anew, 10_000.0, 3 * 1024 * 1024) == pytest.approx(10_000.0 + 3 - BURST_S)
