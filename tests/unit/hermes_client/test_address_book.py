"""AddressBook: home first, everyone gets a turn."""

from __future__ import annotations

import pytest

from hermes_client.addresses import AddressBook
from hermes_core.errors import HermesError
from hermes_core.ids import NodeId

HOME, OTHER = NodeId("node-0"), NodeId("node-1")


def test_without_a_home_the_given_order_counts() -> None:
    book = AddressBook(["a:1", "b:1"])
    assert [book.choose(None) for _ in range(4)] == ["a:1", "b:1", "a:1", "b:1"]


def test_home_comes_first_then_the_unknown_then_the_others() -> None:
    book = AddressBook(["other:1", "unknown:1", "home:1"])
    book.record("other:1", OTHER)
    book.record("home:1", HOME)
    assert [book.choose(HOME) for _ in range(3)] == ["home:1", "unknown:1", "other:1"]


def test_a_new_round_starts_with_home_after_a_session_stood() -> None:
    book = AddressBook(["a:1", "b:1"])
    book.record(book.choose(None), HOME)
    book.connected()
    assert book.choose(HOME) == "a:1"


def test_becoming_homeless_in_the_middle_of_a_round_starts_a_new_one() -> None:
    book = AddressBook(["a:1", "b:1"])
    book.record("b:1", HOME)
    assert book.choose(HOME) == "b:1"
    assert book.choose(None) == "a:1"


def test_an_avoided_address_is_tried_last() -> None:
    book = AddressBook(["a:1", "b:1", "c:1"])
    book.avoid("a:1")
    assert [book.choose(None) for _ in range(3)] == ["b:1", "c:1", "a:1"]


@pytest.mark.parametrize("addresses", [[], "", ["a:1", ""]])
def test_no_address_is_refused(addresses: list[str] | str) -> None:
    with pytest.raises(HermesError, match="at least one node address"):
        AddressBook(addresses)
