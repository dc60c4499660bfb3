"""What is remembered of other nodes' keystores: the highest mark of each, bounded, and on the disk soon."""

from __future__ import annotations

from dataclasses import replace

from hermes_core.keystore.mark import Mark
from hermes_core.mesh.mark_keeper import SAVE_AFTER_S, MarkKeeper

START = 1000.0


def make_mark(node: int, counter: int, opening: int = 0) -> Mark:
    return Mark(bytes([node]) * 32, bytes([opening]) * 16, 1, counter, b"")


def test_the_highest_mark_of_a_node_is_held_whatever_opening_it_is_of() -> None:
    keeper = MarkKeeper([], 4)
    keeper.take(make_mark(1, 50), START)
    keeper.take(make_mark(1, 40, opening=1), START)
    assert keeper.find(bytes([1]) * 32) == make_mark(1, 50)
    keeper.take(make_mark(1, 51, opening=1), START)
    assert keeper.find(bytes([1]) * 32) == make_mark(1, 51, opening=1)
    assert keeper.find(bytes([2]) * 32) is None


def test_the_node_not_heard_of_for_longest_goes_first() -> None:
    keeper = MarkKeeper([make_mark(1, 1), make_mark(2, 1), make_mark(3, 1)], 3)
    keeper.take(make_mark(1, 1), START)  # heard of, though nothing is new
    keeper.take(make_mark(4, 1), START)
    assert [keeper.find(bytes([node]) * 32) is not None for node in (1, 2, 3, 4)] == [True, False, True, True]
    assert keeper.take_unsaved() == {bytes([2]) * 32: None, bytes([4]) * 32: make_mark(4, 1)}


def test_what_came_is_to_be_saved_in_time_and_once() -> None:
    keeper = MarkKeeper([make_mark(1, 1)], 4)
    assert keeper.next_timer() is None
    keeper.take(make_mark(1, 1), START)
    assert keeper.next_timer() is None
    keeper.take(make_mark(1, 2), START)
    keeper.take(make_mark(1, 3), START + 5)
    assert keeper.next_timer() == START + SAVE_AFTER_S
    assert keeper.take_unsaved() == {bytes([1]) * 32: make_mark(1, 3)}
    assert keeper.take_unsaved() == {}
    assert keeper.next_timer() is None


def test_a_mark_of_the_same_height_does_not_replace_the_one_held() -> None:
    keeper = MarkKeeper([make_mark(1, 7)], 4)
    keeper.take(replace(make_mark(1, 7), open_id=bytes(16)), START)
    keeper.take(make_mark(1, 7, opening=9), START)
    assert keeper.find(bytes([1]) * 32) == make_mark(1, 7)
