"""Timers: a named table says when each deadline of a chat is due and what it does; a lazy heap says whose turn it is."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from hermes_core.values import dataclass

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timer(Generic[T]):
    """One deadline of a `T`: the only place that says when it is due (None: not now) and what happens then.

    Deadlines follow from the state and are never stored, so none can be left set, or forgotten, when the state changes.
    """

    name: str
    due: Callable[[T], float | None]
    fire: Callable[[T, float], None]


def next_due(table: Iterable[Timer[T]], owner: T) -> float | None:
    """The earliest deadline of `owner`; None when it has none."""
    earliest: float | None = None
    for timer in table:
        due = timer.due(owner)
        if due is not None and (earliest is None or due < earliest):
            earliest = due
    return earliest


def fire_due(table: Iterable[Timer[T]], owner: T, now: float, *, over: Callable[[T], bool]) -> None:
    """Fire what is due by `now`, in the order of the table, each once; stop when `owner` is `over`."""
    for timer in table:
        due = timer.due(owner)
        if due is not None and due <= now:
            timer.fire(owner, now)
            if over(owner):
                return


class TimerHeap(Generic[K]):
    """A key fires at the earliest time asked for; whoever handles it schedules the next one."""

    __slots__ = ("_count", "_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = 0  # ties are broken in order of scheduling, so that keys need no order

    def schedule(self, key: K, when: float) -> None:
        """Fire `key` at `when`, unless it fires earlier anyway."""
        due = self._due.get(key)
        if due is not None and due <= when:
            return
        self._due[key] = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, key))

    def cancel(self, key: K) -> None:
        self._due.pop(key, None)

    def next_due(self) -> float | None:
        while self._heap:
            when, _, key = self._heap[0]
            if self._due.get(key) == when:
                return when
            heapq.heappop(self._heap)  # cancelled, or replaced by an earlier one that fired
        return None

    def pop_due(self, now: float, limit: int | None = None) -> list[K]:
        """Keys due by `now`, each once, at most `limit`, the earliest first; none of them is scheduled any more."""
        fired: list[K] = []
        while self._heap and self._heap[0][0] <= now and (limit is None or len(fired) < limit):
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                fired.append(key)
        return fired
