"""One timer for each of many keys in a lazy heap: cheap to set earlier, checked again when it fires."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

K = TypeVar("K")


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

    def pop_due(self, now: float) -> list[K]:
        """Every key due by `now`, each once; none of them is scheduled any more."""
        fired: list[K] = []
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                fired.append(key)
        return fired
