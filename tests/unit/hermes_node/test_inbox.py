"""The inbox serves streams in turns by what they cost, and keeps the orders that must hold. Costs are the tests' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final

import pytest

from hermes_node.chats.inbox import MANY_WEIGHT, MAX_FRAMES_A_PASS, PASS_S, QUANTUM_S, Act, Inbox, Input, Task
from hermes_node.streams.turns import Queue

DEAR_S: Final = QUANTUM_S / 4
NOW: Final = 7.0


class Slices(Input):
    """A batch as others see it: so many messages that cost so much each."""

    def __init__(self, desk: Desk, name: str, messages: int, cost_s: float) -> None:
        self.left = True
        self._desk = desk
        self._name = name
        self._messages = iter(range(messages))
        self._last = messages - 1
        self._cost_s = cost_s

    def serve(self, now: float, ends_at: float) -> int:
        assert now == NOW
        frames = 0
        for number in self._messages:
            self._desk.note(self._name, self._cost_s)
            self.left = number < self._last
            frames += 1
            if self._desk.cost_s >= ends_at:
                break
        return frames


class Desk:
    """An inbox, a clock of costs, and what was served in which order."""

    def __init__(self) -> None:
        self.cost_s = 100.0
        self.defects: list[Exception] = []
        self.woken = 0
        self.served: list[str] = []
        self.spent_s: Counter[str] = Counter()
        self.inbox = Inbox(lambda: self.cost_s, self.defects.append, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def note(self, name: str, cost_s: float) -> None:
        self.cost_s += cost_s
        self.served.append(name)
        self.spent_s[name] += cost_s  # type: ignore[assignment]

    def act(self, name: str, cost_s: float = 0.0) -> Act:
        def act(now: float) -> None:
            assert now == NOW
            self.note(name, cost_s)

        return act

    def add_app(self, network: str = "192.0.2.1") -> Queue[Input]:
        queue = self.inbox.open_stranger((network,))
        self.inbox.prove(queue)
        return queue

    def batch(self, queue: Queue[Input], name: str, messages: int = 256, cost_s: float = DEAR_S) -> None:
        self.inbox.put(queue, Slices(self, name, messages, cost_s))

    def serve(self, passes: int = 1, budget_s: float = PASS_S) -> None:
        for _ in range(passes):
            self.inbox.serve(NOW, budget_s)

    def serve_all(self) -> None:
        while self.inbox:
            self.serve()

    def runs(self) -> Iterator[tuple[str, int]]:
        return ((name, len(list(run))) for name, run in groupby(self.served))


def test_a_dear_batch_is_served_in_slices_and_what_is_cheap_in_between() -> None:
    desk = Desk()
    dear, cheap = desk.add_app(), desk.add_app()
    for number in range(4):
        desk.batch(dear, f"dear {number}")
    desk.serve()
    assert desk.cost_s - 100.0 <= PASS_S + DEAR_S, "a pass has its bounds"
    for _ in range(20):
        desk.batch(cheap, "cheap", 1, QUANTUM_S / 100)
        before = len(desk.served)
        desk.serve()
        assert "cheap" in desk.served[before : before + 2 + 4], "within a quantum"
    desk.serve_all()
    dears = [name for name in desk.served if name != "cheap"]
    assert dears == [f"dear {number}" for number in range(4) for _ in range(256)]


def test_streams_that_send_all_they_can_share_what_there_is() -> None:
    desk = Desk()
    queues = {name: desk.add_app() for name in ("dear", "cheap")}
    node = desk.inbox.open_node()
    for _ in range(40):
        desk.batch(queues["dear"], "dear", 256, DEAR_S)
        desk.batch(queues["cheap"], "cheap", 256, DEAR_S / 30)
        desk.batch(node, "node", 256, DEAR_S)
    desk.serve(10)
    total_s = sum(desk.spent_s.values())
    for name, weight in (("dear", 1.0), ("cheap", 1.0), ("node", MANY_WEIGHT)):
        assert desk.spent_s[name] == pytest.approx(total_s * weight / (2 + MANY_WEIGHT), abs=2 * QUANTUM_S)


def test_all_strangers_have_one_share_and_share_it_by_network() -> None:
    desk = Desk()
    app = desk.add_app()
    crowd = [desk.inbox.open_stranger(("192.0.2.7",)) for _ in range(60)]
    other = desk.inbox.open_stranger(("198.51.100.1",))
    for queue, name in [(app, "app"), (other, "other"), *((queue, "crowd") for queue in crowd)]:
        for _ in range(10):
            desk.batch(queue, name)
    desk.serve(36)
    total_s = sum(desk.spent_s.values())
    assert desk.spent_s["app"] == pytest.approx(total_s / (1 + MANY_WEIGHT), abs=2 * QUANTUM_S)
    assert desk.spent_s["crowd"] == pytest.approx(desk.spent_s["other"], abs=2 * QUANTUM_S)


def test_a_stranger_that_proved_itself_has_a_share_of_its_own_and_its_order() -> None:
    desk = Desk()
    crowd = [desk.inbox.open_stranger(("192.0.2.7",)) for _ in range(60)]
    newcomer = desk.inbox.open_stranger(("192.0.2.7",))
    for queue in crowd:
        desk.batch(queue, "crowd")
    desk.batch(newcomer, "newcomer first", 4)
    desk.batch(newcomer, "newcomer second", 4)
    desk.inbox.prove(newcomer)
    desk.serve(60)
    before = len(desk.served)
    desk.batch(newcomer, "newcomer third", 1)
    desk.serve()
    assert desk.served.index("newcomer third", before) <= before + 4
    names = [name for name in desk.served if name != "crowd"]
    assert names == ["newcomer first"] * 4 + ["newcomer second"] * 4 + ["newcomer third"]


def test_the_nodes_own_inputs_keep_their_order_and_do_not_wait_for_what_streams_sent() -> None:
    desk = Desk()
    for number in range(30):
        desk.batch(desk.add_app(), f"dear {number}")
    desk.serve(7)
    for number in range(20):
        desk.inbox.put_own(desk.act(f"own {number}", QUANTUM_S / 100))
    before = len(desk.served)
    desk.serve()
    own = [name for name in desk.served[before:] if name.startswith("own")]
    assert own == [f"own {number}" for number in range(20)]
    assert desk.served.index("own 0") <= before + 4


def test_the_nodes_own_inputs_have_a_bounded_share() -> None:
    desk = Desk()
    app = desk.add_app()
    desk.batch(app, "app")
    for _ in range(1000):
        desk.inbox.put_own(desk.act("own", DEAR_S))
    desk.serve(10)
    assert desk.spent_s["app"] == pytest.approx(sum(desk.spent_s.values()) / (1 + MANY_WEIGHT), abs=2 * QUANTUM_S)


@pytest.mark.parametrize("kind", ["app", "node"])
def test_a_stream_that_opens_comes_after_what_the_node_had_to_do_before(kind: str) -> None:
    """A peer that was told dead and comes back is not unlinked; chats that are to be held are held before they are resumed."""
    desk = Desk()
    for number in range(5):
        desk.inbox.put_own(desk.act(f"before {number}", 10 * QUANTUM_S))
    queue = desk.inbox.open_node() if kind == "node" else desk.inbox.open_stranger(("192.0.2.1",))
    desk.inbox.put(queue, Task(desk.act("opening")))
    desk.inbox.put_own(desk.act("after", 10 * QUANTUM_S))
    other = desk.add_app()
    desk.batch(other, "other", 1)
    desk.serve_all()
    assert [name for name in desk.served if name not in {"after", "other"}] == [*(f"before {n}" for n in range(5)), "opening"]
    assert desk.served.index("other") > desk.served.index("after")


def test_what_comes_after_comes_after_all_that_waited_and_does_not_wait_for_later_ones() -> None:
    desk = Desk()
    dear, cheap = desk.add_app(), desk.add_app()
    desk.batch(dear, "dear", 64)
    desk.batch(cheap, "cheap", 1)
    desk.inbox.put_own(desk.act("own"))
    desk.serve()
    desk.inbox.put_after(desk.act("first after"))
    desk.batch(cheap, "cheap later", 1)
    desk.inbox.put_after(desk.act("second after"))
    for _ in range(3):
        desk.batch(dear, "dear later", 256)
    desk.serve_all()
    order = [name for name, _ in desk.runs()]
    last = max(place for place, name in enumerate(order) if name in {"dear", "cheap", "own"})
    assert order.index("first after") > last
    assert order.index("second after") > order.index("cheap later")
    assert order.index("cheap later") < last, "later ones do not wait for it"
    assert len(order) - order.index("second after") > 1, "it does not wait for later ones"
    assert order.index("first after") < order.index("second after")


def test_what_comes_after_nothing_comes_at_once() -> None:
    desk = Desk()
    desk.inbox.put_after(desk.act("after"))
    assert desk.woken == 1
    desk.serve()
    assert desk.served == ["after"]
    assert not desk.inbox


def test_a_pass_is_bounded_in_frames_whatever_they_cost() -> None:
    desk = Desk()
    app = desk.add_app()
    for _ in range(20):
        desk.batch(app, "free", 256, 0.0)
    desk.serve()
    assert len(desk.served) == MAX_FRAMES_A_PASS
    assert desk.inbox
    desk.serve_all()
    assert len(desk.served) == 20 * 256


def test_a_longer_pass_is_one_with_more_turns() -> None:
    desk = Desk()
    apps = [desk.add_app() for _ in range(2)]
    for number, app in enumerate(apps):
        desk.batch(app, str(number))
    desk.serve(budget_s=4 * PASS_S)
    assert desk.cost_s - 100.0 == pytest.approx(4 * PASS_S)
    assert max(length for _, length in desk.runs()) * DEAR_S <= QUANTUM_S + 1e-9


def test_a_defect_is_told_and_the_next_is_served() -> None:
    desk = Desk()

    def fail(_now: float) -> None:
        raise ZeroDivisionError

    app = desk.add_app()
    desk.inbox.put(app, Task(fail))
    desk.inbox.put_own(fail)
    desk.batch(app, "next", 1)
    desk.serve()
    assert [type(error) for error in desk.defects] == [ZeroDivisionError] * 2
    assert desk.served == ["next"]
    assert not desk.inbox
