"""Start-time fair queueing keeps the bounds of its paper, whatever comes when and costs what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_node.streams.turns import Group, Queue, Turns

WEIGHTS: Final = (1.0, 1.0, 2.0, 8.0)
SLACK: Final = 1e-6
"""Of sums of floats."""


def serve(turns: Turns[tuple[str, float]]) -> tuple[str, float]:
    """One turn of one item, which says whose it is and what it costs."""
    item = turns.begin().waiting.popleft()
    turns.end(item[1])
    return item


def test_who_was_idle_is_next_whatever_others_have_waiting() -> None:
    turns: Turns[tuple[str, float]] = Turns()
    for number in range(50):
        queue = Queue[tuple[str, float]](turns.root, 1.0)
        for _ in range(100):
            queue.put((f"busy {number}", 2.0))
    small = Queue[tuple[str, float]](turns.root, 1.0)
    for served in range(1, 500):
        serve(turns)
        if not served % 70:
            small.put(("small", 0.1))
            assert serve(turns)[0] == "small"


def test_idle_time_earns_nothing() -> None:
    turns: Turns[tuple[str, float]] = Turns()
    busy, late = (Queue[tuple[str, float]](turns.root, 1.0) for _ in range(2))
    for _ in range(200):
        busy.put(("busy", 1.0))
    for _ in range(100):
        serve(turns)
    for _ in range(50):
        late.put(("late", 1.0))
    names = [serve(turns)[0] for _ in range(40)]
    assert names.count("late") == 20
    assert max(len(run) for run in "".join(name[0] for name in names).split("b")) == 1


def test_what_was_served_counts_when_somebody_comes_back_at_once() -> None:
    """Else whoever keeps one input waiting at a time had every other turn, however long it is."""
    turns: Turns[tuple[str, float]] = Turns()
    busy, dear = (Queue[tuple[str, float]](turns.root, 1.0) for _ in range(2))
    for _ in range(1000):
        busy.put(("busy", 1.0))
    spent: Counter[str] = Counter()
    dear.put(("dear", 10.0))
    for _ in range(200):
        name, cost = serve(turns)
        spent[name] += int(cost)
        if name == "dear":
            dear.put(("dear", 10.0))
    assert abs(spent["dear"] - spent["busy"]) <= 11


def test_a_group_has_one_share_however_many_are_in_it() -> None:
    turns: Turns[tuple[str, float]] = Turns()
    group = Group(turns.root, 2.0)
    narrow = Group(group, 1.0)
    queues = [Queue[tuple[str, float]](narrow, 1.0) for _ in range(30)]
    alone, other = Queue[tuple[str, float]](group, 1.0), Queue[tuple[str, float]](turns.root, 1.0)
    for queue, name, cost in [*((each, "of many", 1.0) for each in queues), (alone, "alone", 3.0), (other, "other", 1.0)]:
        for _ in range(100):
            queue.put((name, cost))
    spent: Counter[str] = Counter()
    while sum(spent.values()) < 240:
        name, cost = serve(turns)
        spent[name] += int(cost)
    assert all(abs(spent[name] - 80) <= 4 for name in ("other", "alone", "of many")), spent


@pytest.mark.parametrize("waits", [True, False])
def test_one_that_moves_to_another_group_owes_nothing_there(waits: bool) -> None:
    """Times of the two have nothing to do with each other: it would wait for what its former group had in a long life."""
    turns: Turns[tuple[str, float]] = Turns()
    moving, other = Queue[tuple[str, float]](Group(turns.root, 8.0), 1.0), Queue[tuple[str, float]](turns.root, 1.0)
    for _ in range(1000 + waits):
        moving.put(("moving", 1.0))
    for _ in range(1000):
        serve(turns)
    for _ in range(500):
        other.put(("other", 1.0))
    moving.move(turns.root, 1.0)
    for _ in range(20):
        moving.put(("moving", 1.0))
    assert abs([serve(turns)[0] for _ in range(20)].count("moving") - 10) <= 1


def test_after_a_pause_all_begin_alike() -> None:
    turns: Turns[tuple[str, float]] = Turns()
    one, two = (Queue[tuple[str, float]](turns.root, 1.0) for _ in range(2))
    one.put(("one", 100.0))
    serve(turns)
    for _ in range(40):
        one.put(("one", 1.0))
        two.put(("two", 1.0))
    assert [serve(turns)[0] for _ in range(20)].count("one") == 10


@pytest.mark.parametrize("waits", [True, False])
def test_one_that_moves_to_another_group_is_served_there_and_keeps_its_order(waits: bool) -> None:
    turns: Turns[tuple[str, float]] = Turns()
    crowd = Group(turns.root, 1.0)
    moving = Queue[tuple[str, float]](crowd, 1.0)
    others = [Queue[tuple[str, float]](crowd, 1.0) for _ in range(9)]
    for queue in others:
        for _ in range(100):
            queue.put(("crowd", 1.0))
    for number in range(3):
        moving.put((f"moving {number}", 1.0))
    seen = [serve(turns)[0] for _ in range(30)]
    if waits:
        moving.put(("moving 3", 1.0))
    moving.move(turns.root, 1.0)
    for number in range(3 + waits, 30):
        moving.put((f"moving {number}", 1.0))
    seen += [serve(turns)[0] for _ in range(60)]
    named = [name for name in seen if name != "crowd"]
    assert named == [f"moving {number}" for number in range(len(named))]
    assert len(named) >= 25


def test_one_that_is_held_has_no_turn_until_it_is_released() -> None:
    turns: Turns[tuple[str, float]] = Turns()
    held, other = Queue[tuple[str, float]](turns.root, 1.0, held=True), Queue[tuple[str, float]](turns.root, 1.0)
    for _ in range(5):
        held.put(("held", 1.0))
        other.put(("other", 1.0))
    assert {serve(turns)[0] for _ in range(4)} == {"other"}
    held.release()
    assert "held" in {serve(turns)[0] for _ in range(2)}


# Whatever comes: each step puts an input of some cost into some queue, or gives a turn.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, len(WEIGHTS) - 1), st.floats(0.01, 10.0)),
        st.none(),
        st.none(),
    ),
    max_size=120,
)


@dataclass
class Watched:
    """One queue: what it was served since the others count for it, by when they began to."""

    weight: float
    queue: Queue[tuple[int, float]]
    put: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)


@given(STEPS)
def test_bounds_of_the_paper(steps: list[tuple[int, float] | None]) -> None:
    turns: Turns[tuple[int, float]] = Turns()
    flows = [Watched(weight, Queue(turns.root, weight)) for weight in WEIGHTS]
    longest = [max((step[1] for step in steps if step is not None and step[0] == number), default=0.0) for number in range(4)]
    joint: dict[tuple[int, int], list[float]] = {}
    """Of two that both have something waiting: the lead of the first, by weight, after each turn since they have."""
    since_turn: dict[int, list[float]] = {}
    """Of one that waits: what each was served since its last turn, if that was its last input but not the last to wait."""
    debts: dict[int, float] = {}
    for step in [*steps, *[None] * len(steps)]:
        if step is not None:
            number, cost = step
            flow = flows[number]
            if not flow.queue.waiting:
                since_turn[number] = [0.0] * 4
                debts[number] = max(0.0, flow.queue.finish - turns.root._virtual_time)
            flow.queue.put(step)
            flow.put.append(cost)
        elif turns.root.waiting:
            queue = turns.begin()
            number, cost = queue.waiting.popleft()
            assert flows[number].queue is queue
            waited, debt = since_turn.pop(number), debts.pop(number)
            for other in {*range(4)} - {number}:
                bound = WEIGHTS[other] * debt + longest[other]
                assert waited[other] <= bound + SLACK, "it waited longer than the bound"
            turns.end(cost)
            flows[number].served.append(cost)
            for each in since_turn.values():
                each[number] += cost
            for pair, leads in joint.items():
                if number in pair:
                    change = cost / WEIGHTS[number]
                    leads.append(leads[-1] + (change if number == pair[0] else -change))
                    bound = longest[pair[0]] / WEIGHTS[pair[0]] + longest[pair[1]] / WEIGHTS[pair[1]]
                    assert max(leads) - min(leads) <= bound + SLACK, "one of two got more than its share"
            if queue.waiting:
                since_turn[number] = [0.0] * 4
                debts[number] = cost / WEIGHTS[number]
        busy = {number for number, flow in enumerate(flows) if flow.queue.waiting}
        joint = {
            (one, two): joint.get((one, two), [0.0]) for one in busy for two in busy if one < two
        }  # who has nothing waiting is not owed anything
    assert not turns.root.waiting
    assert all(flow.put == flow.served for flow in flows), "in the order in which it came, and all of it"
