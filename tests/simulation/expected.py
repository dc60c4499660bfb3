"""What is known to break an invariant, and until when; a test shows that it still does: no entry outlives its fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation.fault_kinds import AWAY
from tests.simulation.old_volumes import ROLLBACKS

if TYPE_CHECKING:
    from tests.simulation.world import Effect, Report, Violation


@dataclass(frozen=True)
class Expected:
    """A violation whose text matches `pattern` whole, after one of `faults` took effect (none: in any world).

    `until`: what ends it, or cures it.
    `target`: how the names of those begin whom the fault must have struck.
    `schedule` in tests/simulation/schedules shows it, and the seed that found it.
    """

    invariant: str
    pattern: str
    faults: tuple[str, ...]
    until: str
    schedule: str
    target: str = ""

    def covers(self, violation: Violation, effects: Iterable[Effect]) -> bool:
        if violation.invariant != self.invariant or re.fullmatch(self.pattern, violation.text) is None:
            return False
        before = [effect.fault for effect in effects if effect.at_s <= violation.at_s and effect.took]
        return not self.faults or any(it.kind in self.faults and it.target.startswith(self.target) for it in before)


UNASKED: Final = "the idle time is over: of a record that nobody asks for (protocol page, Moves)"

EXPECTED: Final[tuple[Expected, ...]] = (
    # A chat that ended comes back with an old volume; its apps do not know it any more and are at home elsewhere by then.
    Expected(
        "nothing remains of what ended",
        r"hermes-\d+ keeps the record of chat .*",
        ROLLBACKS,
        UNASKED,
        "a-rollback-brings-back-a-deleted-chat.json",
    ),
    # Both apps were at home there and moved while it was away: no node is its neighbour, and neither app may come by again.
    Expected(
        "nothing remains of what ended",
        r"hermes-\d+ keeps the record of chat \d+, which has ended",
        AWAY,
        UNASKED,
        "a-former-home-of-both-apps-keeps-its-record.json",
    ),
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
