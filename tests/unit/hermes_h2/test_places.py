"""Places of connections: those of strangers are shared by address, and many who come at once do not push each other out."""

from __future__ import annotations

import pytest

from hermes_h2.serving.places import NamedPlaces, Places, charge_to

PATIENCE_S = 1.0


def fill(places: Places[str], address: str, count: int, now: float = 0.0) -> list[str]:
    names = [f"{address}#{number}" for number in range(count)]
    assert [places.admit(name, address, now) for name in names] == [None] * count
    return names


def test_an_address_has_so_many_and_its_newest_waits_until_the_oldest_has_had_its_time() -> None:
    places = Places[str](total=100, strangers=10, an_address=3, patience_s=PATIENCE_S)
    first, *_ = fill(places, "a", 3)
    assert places.admit("new", "a", PATIENCE_S / 2) == "new"
    assert places.admit("new", "a", PATIENCE_S) == first
    assert (len(places), places.strangers) == (3, 3)


def test_who_has_most_gives_way_at_once_to_who_has_fewer() -> None:
    places = Places[str](total=100, strangers=6, an_address=5, patience_s=PATIENCE_S)
    first, second, *_ = fill(places, "many", 5)
    fill(places, "few", 1)
    assert places.admit("one", "new", 0.0) == first
    assert places.admit("two", "new", 0.0) == second
    assert places.admit("three", "new", 0.0) == "three"
    assert places.strangers == 6


def test_who_proved_something_has_a_place_of_its_own_until_that_is_over() -> None:
    places = Places[str](total=4, strangers=2, an_address=2, patience_s=PATIENCE_S)
    names = fill(places, "a", 2)
    for name in names:
        places.prove(name)
    for name in ("c", "d"):
        assert places.admit(name, "a", 0.0) is None
    assert places.admit("beyond", "b", 0.0) == "c"
    places.doubt(names[0], 0.0)
    places.doubt(names[0], 0.0)
    assert (len(places), places.strangers) == (4, 3)
    places.leave(names[0])
    places.leave(names[0])
    assert (len(places), places.strangers) == (3, 2)


def test_when_all_have_proved_something_nobody_else_gets_in() -> None:
    places = Places[str](total=2, strangers=2, an_address=2, patience_s=PATIENCE_S)
    for name in fill(places, "a", 2):
        places.prove(name)
    assert places.admit("new", "b", 2 * PATIENCE_S) == "new"
    assert len(places) == 2


def test_who_is_another_than_it_seemed_is_charged_as_that() -> None:
    places = Places[str](total=10, strangers=10, an_address=1, patience_s=PATIENCE_S)
    fill(places, "proxy", 1)
    assert places.move("proxy#0", "a", 0.0) is None
    assert places.admit("other", "proxy", 0.0) is None
    assert places.admit("third", "a", 0.0) == "third"


@pytest.mark.parametrize(
    ("host", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whose_connection_it_is(host: str, whose: str) -> None:
    assert charge_to(host) == whose


def test_a_certificate_has_as_many_as_its_names_give_and_others_have_their_own() -> None:
    places = NamedPlaces[str](a_name=2, patience_s=PATIENCE_S)
    one, mesh = frozenset({"one"}), frozenset({"one", "two"})
    assert [places.admit(f"one#{number}", one, str(number), 0.0) for number in range(3)] == [None, None, "one#2"]
    assert [places.admit(f"mesh#{number}", mesh, "a", 0.0) for number in range(5)] == [None] * 4 + ["mesh#4"]
    assert places.admit("one#3", one, "3", PATIENCE_S) == "one#0"
    places.prove("one#1")
    assert places.admit("one#4", one, "4", PATIENCE_S) is None
    assert len(places) == 2 + 1 + 4


def test_of_those_with_one_certificate_the_address_with_most_gives_way() -> None:
    places = NamedPlaces[str](a_name=4, patience_s=PATIENCE_S)
    names = frozenset({"all"})
    assert [places.admit(f"many#{number}", names, "many", 0.0) for number in range(4)] == [None] * 4
    assert places.admit("new", names, "new", 0.0) == "many#0"


def test_nothing_is_left_of_those_who_left() -> None:
    places = NamedPlaces[str](a_name=1, patience_s=PATIENCE_S)
    names = frozenset({"one"})
    places.admit("first", names, "a", 0.0)
    places.prove("first")
    places.doubt("first", 0.0)
    assert places.admit("second", names, "b", 0.0) == "second"
    for _ in range(2):
        places.leave("first")
        places.leave("second")
    places.doubt("first", 0.0)
    places.prove("first")
    assert (len(places), places._by_names) == (0, {})
