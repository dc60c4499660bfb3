"""Places for streams that proved nothing: shared by address, slowed down by address, and never at the cost of a proven one."""

from __future__ import annotations

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.relay import strangers
from hermes_core.relay.strangers import REFILL_S, RETRY_LATER_MS, TIMES_PLACES, WIDER, Origin, Strangers
from tests.unit.hermes_core.relay.test_sessions import APPS, Desk

PLACES = 8


def refusal(room: Strangers, stream: int, origin: Origin, now: float = 0.0) -> int:
    """The wait in ms that a stream is told."""
    with pytest.raises(ProtocolError) as refused:
        room.admit(stream, origin, now)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED
    return refused.value.retry_after_ms


def test_one_address_may_take_every_place_until_another_comes() -> None:
    room = Strangers(PLACES)
    for stream in range(PLACES):
        assert room.admit(stream, ("a",), 0.0) is None
    assert room.admit(100, ("b",), 0.0) == 0, "the oldest of who has most"
    assert room.admit(101, ("b",), 0.0) == 1
    assert room.admit(102, ("c",), 0.0) == 2
    assert len(room) == PLACES


def test_places_end_up_shared_alike() -> None:
    room = Strangers(PLACES)
    for stream in range(PLACES):
        room.admit(stream, ("a",), 0.0)
    for stream in range(100, 103):
        room.admit(stream, ("b",), 0.0)
    room.admit(103, ("b",), 0.0)
    assert refusal(room, 104, ("b",)) == RETRY_LATER_MS, "four and four: nobody gives way to an address that has as many"
    assert room.admit(105, ("c",), 0.0) is not None


def test_what_proves_nothing_uses_up_its_address_alone() -> None:
    room = Strangers(PLACES)
    for stream in range(TIMES_PLACES * PLACES):
        room.admit(stream, ("a",), 0.0)
        room.leave(stream)
    assert refusal(room, 100, ("a",)) == REFILL_S * 1000
    assert room.admit(101, ("b",), 0.0) is None
    assert room.admit(102, ("a",), REFILL_S + 0.001) is None


def test_a_proof_gives_back_what_it_took() -> None:
    """All apps behind an ingress have one address, and may come back at once."""
    room = Strangers(PLACES)
    for stream in range(50 * PLACES):
        assert room.admit(stream, ("ingress",), 0.0) is None
        room.prove(stream, 0.0)
    assert len(room) == 0


def test_the_memory_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_ORIGINS", 5)
    room = Strangers(PLACES)
    for stream in range(100):
        room.admit(stream, (f"address {stream}",), 0.0)
        room.leave(stream)
    assert len(room._budgets) == 5
    assert not len(room)


def test_networks_share_places_like_addresses() -> None:
    """One home has 256 networks of the size that one machine is given: silent streams of each kept everybody else out."""
    room = Strangers(PLACES)
    for stream in range(PLACES):
        room.admit(stream, ("site", "home", f"machine {stream}"), 0.0)
    assert room.admit(100, ("site", "another home", "a"), 0.0) == 0
    assert room.admit(101, ("192.0.2.1",), 0.0) == 1
    assert room.admit(102, ("another site", "home", "a"), 0.0) == 2
    assert room.admit(103, ("192.0.2.1",), 0.0) == 3
    assert room.admit(104, ("site", "another home", "a"), 0.0) == 4, "within a site its homes share"
    assert len(room) == PLACES


def test_where_everybody_has_one_place_the_oldest_gives_way() -> None:
    room = Strangers(PLACES)
    for stream in range(PLACES):
        room.admit(stream, (f"address {stream}",), 0.0)
    assert room.admit(100, ("a newcomer",), 0.0) == 0
    room.prove(100, 0.0)
    assert room.admit(101, ("another",), 0.0) is None
    assert room.admit(102, ("a third",), 0.0) == 1
    assert refusal(room, 103, ("a third",)) == RETRY_LATER_MS, "not to one who has as many as the others"


def test_a_network_that_proves_nothing_uses_up_its_addresses_budget() -> None:
    room = Strangers(PLACES)
    for stream in range(WIDER * TIMES_PLACES * PLACES):
        room.admit(stream, ("home", f"machine {stream}"), 0.0)
        room.leave(stream)
    assert 0 < refusal(room, 1000, ("home", "a new machine")) <= REFILL_S * 1000 / WIDER + 1
    assert room.admit(1001, ("another home", "a"), 0.0) is None
    assert room.admit(1002, ("home", "a new machine"), REFILL_S / WIDER + 0.001) is None
    for stream in range(2000, 2000 + 50 * PLACES):
        room.admit(stream, ("ingress", "machine"), 0.0)
        room.prove(stream, 0.0)


def test_an_app_gets_in_while_another_address_holds_every_place() -> None:
    desk = Desk()
    desk.origin = ("203.0.113.7",)
    for stream in (11, 12):  # as many as there are places
        desk.open(stream)
    desk.origin = ("192.0.2.1",)
    desk.connect(1, APPS[0])
    assert 1 in desk.keys
    assert desk.end_of(11)[:2] == (ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM)
    desk.connect(2, APPS[1])
    assert 2 in desk.keys, "the first one proved itself, and takes no place any more"
    assert 12 not in desk.ended
