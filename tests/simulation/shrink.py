"""Delta debugging: the smallest schedule that still breaks the same invariant, found by leaving things out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from tests.simulation.expected import sort_out
from tests.simulation.schedule import Operation, Schedule
from tests.simulation.world import World

TIMEOUT_S: Final = 300.0

T = TypeVar("T")


class Shrinker:
    """`fails` says whether a schedule still shows what is looked for."""

    def __init__(self, fails: Callable[[Schedule], bool], deadline_s: float) -> None:
        self._fails = fails
        self._deadline_s = deadline_s
        self.tried = 0

    def shrink(self, schedule: Schedule) -> Schedule:
        """Faults first: most worlds need one or two of them. Then chats, apps, operations, and time at the end."""
        while not self._is_over():
            before = schedule
            schedule = self._reduce_faults(schedule)
            schedule = self._reduce_chats(schedule)
            schedule = self._reduce_apps(schedule)
            schedule = self._reduce_operations(schedule)
            schedule = self._shorten(schedule)
            if schedule == before:
                break
        return schedule

    def _reduce_faults(self, schedule: Schedule) -> Schedule:
        return replace(schedule, faults=self._minimise(schedule.faults, lambda some: replace(schedule, faults=some)))

    def _reduce_chats(self, schedule: Schedule) -> Schedule:
        return replace(schedule, chats=self._minimise(schedule.chats, lambda some: replace(schedule, chats=some)))

    def _reduce_apps(self, schedule: Schedule) -> Schedule:
        needed = {name for chat in schedule.chats for name in (chat.initiator, chat.acceptor)}
        needed |= {name for fault in schedule.faults for name in (fault.target, fault.other)}
        candidate = replace(schedule, apps=[app for app in schedule.apps if app.name in needed])
        return candidate if candidate != schedule and self._try(candidate) else schedule

    def _reduce_operations(self, schedule: Schedule) -> Schedule:
        for index in range(len(schedule.chats)):
            schedule = self._reduce_operations_of(schedule, index)
        return schedule

    def _reduce_operations_of(self, schedule: Schedule, index: int) -> Schedule:
        def build(some: list[Operation]) -> Schedule:
            chats = list(schedule.chats)
            chats[index] = replace(chats[index], operations=some)
            return replace(schedule, chats=chats)

        return build(self._minimise(schedule.chats[index].operations, build))

    def _shorten(self, schedule: Schedule) -> Schedule:
        for share in (0.25, 0.5, 0.75, 0.9):
            candidate = replace(schedule, active_s=round(schedule.active_s * share, 3))
            if self._try(candidate):
                return candidate
        return schedule

    def _minimise(self, items: list[T], build: Callable[[list[T]], Schedule]) -> list[T]:
        """ddmin (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002), complements only."""
        parts = 2
        while items and not self._is_over():
            size = max(1, -(-len(items) // parts))
            for start in range(0, len(items), size):
                rest = items[:start] + items[start + size :]
                if self._try(build(rest)):
                    items, parts = rest, max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    break
                parts = min(2 * parts, len(items))
        return items

    def _try(self, schedule: Schedule) -> bool:
        if self._is_over():
            return False
        self.tried += 1
        return self._fails(schedule)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline_s


def broken_invariants(schedule: Schedule) -> set[str]:
    """Those that nobody expects to be broken."""
    try:
        report = World(schedule).run()
    except Exception as error:  # noqa: BLE001 - a defect of the simulation is a finding like others
        return {f"the simulation failed: {type(error).__name__}"}
    return {violation.invariant for violation in sort_out(report)[0]}


def shrink(schedule: Schedule, timeout_s: float = TIMEOUT_S) -> tuple[Schedule, str]:
    """The smallest schedule found, and the invariant that it breaks. ValueError when it breaks none."""
    broken = sorted(broken_invariants(schedule))
    if not broken:
        raise ValueError("this schedule breaks no invariant")
    looked_for = broken[0]
    shrinker = Shrinker(lambda candidate: looked_for in broken_invariants(candidate), time.monotonic() + timeout_s)
    return shrinker.shrink(schedule), looked_for
