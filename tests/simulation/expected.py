"""What is known to fail today, with the issue that cures it; a test shows that it still does: no entry outlives its fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.simulation.world import Report, Violation


@dataclass(frozen=True)
class Expected:
    """A violation whose text matches `pattern`, in a world where one of `faults` took effect.

    `schedule` in tests/simulation/schedules shows it, and the seed that found it.
    """

    invariant: str
    pattern: str
    faults: tuple[str, ...]
    issue: str
    schedule: str

    def covers(self, violation: Violation, effects: Iterable[tuple[str, bool]]) -> bool:
        happened = {kind for kind, effect in effects if effect}
        return (
            violation.invariant == self.invariant
            and re.search(self.pattern, violation.text) is not None
            and not happened.isdisjoint(self.faults)
        )


EXPECTED: Final[tuple[Expected, ...]] = (
    # A clock that is ahead at a restart makes a chat that waits for its confirmation look old.
    Expected("what ends says why", "was told EXPIRED", ("set_clock",), "issue 10", "clock-ahead-expires-a-pending-chat.json"),
)


def sort_out(report: Report) -> tuple[list[Violation], list[tuple[Violation, Expected]]]:
    """What nobody expected, and what is known."""
    unknown: list[Violation] = []
    known: list[tuple[Violation, Expected]] = []
    for violation in report.violations:
        entry = next((entry for entry in EXPECTED if entry.covers(violation, report.effects)), None)
        if entry is None:
            unknown.append(violation)
        else:
            known.append((violation, entry))
    return unknown, known
