"""What a soak found: figures as JSON for machines, as a page for people, one line for a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_KEPT, EXIT_UNPROVEN
from tests.soak.harm import Harm
from tests.soak.logs import count_troubles
from tests.soak.plan import KINDS
from tests.soak.settle import StuckChat
from tests.soak.world import World

if TYPE_CHECKING:
    from tests.soak.run import SoakOptions

SHOWN_SILENCES = 10
SHOWN = 20
ROUND_S = 60.0
"""In a run that plans as many seconds of faults each kind comes more than once, and some fault of it takes effect."""


@dataclass(slots=True)
class KindFigures:
    """Of one kind of fault: how many took effect, how many did not, and why those did not."""

    effective: int = 0
    without_effect: int = 0
    why: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LongSilence:
    """Seconds that one end of a chat heard nothing, when it began, and the faults that its apps or any node had then."""

    seconds: float
    began: float
    chat: str
    app: str
    faults: list[str]


@dataclass(slots=True)
class SoakReport:
    seed: int
    nodes: int
    apps: int
    seconds: float
    planned_seconds: float
    fault_seconds: float
    settle_seconds: float
    messages: int
    sent: int
    came_again: int
    chats_opened: int
    moves: int
    crossings: int
    state_lost: int
    rekeys: int
    lost: int
    violations: list[str]
    stuck: list[StuckChat]
    kinds: dict[str, KindFigures]
    ends: dict[str, int]
    refusals: dict[str, int]
    per_minute: list[int]
    silences: list[LongSilence]
    longest_stall: float
    records_left: dict[str, int]
    troubles: dict[str, int]
    faults: list[Harm]

    @classmethod
    def build(
        cls,
        options: SoakOptions,
        world: World,
        faults: list[Harm],
        stuck: list[StuckChat],
        *,
        fault_s: float,
        settle_s: float,
        ends: dict[str, int],
        left: dict[str, int],
    ) -> Self:
        ledger = world.ledger
        counts = ledger.counts
        last = max(ledger.minutes, default=0)
        return cls(
            seed=options.seed,
            nodes=options.nodes,
            apps=options.apps,
            seconds=round(time.monotonic() - world.began, 1),
            planned_seconds=options.seconds,
            fault_seconds=round(fault_s, 1),
            settle_seconds=round(settle_s, 1),
            messages=counts["messages"],
            sent=counts["sent"],
            came_again=counts["again"],
            chats_opened=world.slots.opened,
            moves=counts["moves"],
            crossings=ledger.crossings(),
            state_lost=counts["state-lost"],
            rekeys=counts["rekeyed"],
            lost=counts["lost"],
            violations=list(ledger.violations),
            stuck=stuck,
            kinds=_by_kind(faults, sorted(options.kinds)),
            ends=ends,
            refusals=dict(ledger.refusals.most_common()),
            per_minute=[ledger.minutes[minute] for minute in range(last + 1)],
            silences=[
                LongSilence(round(seen.seconds, 1), round(seen.began, 1), seen.chat[:8], seen.app, _around(faults, seen, world))
                for seen in sorted(ledger.silences, reverse=True)[:SHOWN_SILENCES]
            ],
            longest_stall=round(world.longest_stall_s, 2),
            records_left=left,
            troubles=dict(count_troubles(world.mesh.nodes).most_common()),
            faults=faults,
        )

    @property
    def effective(self) -> int:
        return sum(figures.effective for figures in self.kinds.values())

    @property
    def unproven(self) -> list[str]:
        """Kinds that were wanted and never took effect; of a run that is too short for all kinds only if they were named."""
        if self.planned_seconds < ROUND_S and len(self.kinds) == len(KINDS):
            return []
        return [kind for kind, figures in self.kinds.items() if not figures.effective]

    @property
    def exit_code(self) -> int:
        if self.violations or self.stuck:
            return EXIT_BROKEN_PROMISE
        return EXIT_UNPROVEN if self.unproven or not self.messages else EXIT_KEPT

    def count(self, word: str) -> int:
        return sum(word in text for text in self.violations)

    def closing_line(self) -> str:
        figures = (
            f"{self.effective} faults, {self.messages} messages, {self.moves} moves ({self.crossings} crossed), "
            f"{self.lost} lost, {self.count('doubled')} doubled, {self.count('reordered')} reordered, {len(self.stuck)} stuck"
        )
        if self.exit_code == EXIT_BROKEN_PROMISE:
            first = self.violations[0] if self.violations else f"chat {self.stuck[0].chat} is stuck at {self.stuck[0].app}"
            return f"FAIL soak, seed {self.seed}: {first}; {figures}"
        if self.unproven:
            return f"UNPROVEN soak, seed {self.seed}: {', '.join(self.unproven)} never took effect; {figures}"
        return f"PASS soak, seed {self.seed}: {figures}"

    def to_dict(self) -> dict[str, Any]:
        return {"summary": self.closing_line(), "effective_faults": self.effective, **asdict(self)}

    def to_page(self) -> str:
        parts = [
            f"# Soak, seed {self.seed}",
            self.closing_line(),
            _table(("figure", "value"), self._figures()),
            "## Faults",
            _table(
                ("kind", "took effect", "did not", "why not"),
                [(kind, figures.effective, figures.without_effect, _join(figures.why)) for kind, figures in self.kinds.items()],
            ),
            "## Messages a minute",
            _table(("minute", "messages", ""), self._bars()),
            "## Longest silences",
            _table(
                ("seconds", "from second", "chat", "app", "faults meanwhile"),
                [(one.seconds, one.began, one.chat, one.app, ", ".join(one.faults)) for one in self.silences],
            ),
            "## How chats ended",
            _table(("reasons at both ends", "chats"), self.ends.items()),
            "## What was refused and tried again",
            _table(("what", "times"), self.refusals.items()),
            "## Warnings and errors in the nodes' logs",
            _table(("event", "times"), self.troubles.items()),
        ]
        if self.stuck:
            parts += [
                "## Stuck",
                _table(("chat", "app", "unacknowledged", "path", ""), [asdict(one).values() for one in self.stuck]),
            ]
        if self.violations:
            parts += ["## Broken promises", "\n".join(f"- {text}" for text in self.violations[:SHOWN])]
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> list[tuple[str, object]]:
        return [
            ("nodes, apps", f"{self.nodes}, {self.apps}"),
            ("minutes with faults", round(self.fault_seconds / 60, 1)),
            ("faults that took effect", self.effective),
            ("messages that arrived", self.messages),
            ("came again to an app that was killed before it had acknowledged them", self.came_again),
            ("lost, doubled, reordered", f"{self.lost}, {self.count('doubled')}, {self.count('reordered')}"),
            ("stuck 30 s after the last fault", len(self.stuck)),
            ("everything had arrived after the last fault, s", self.settle_seconds),
            ("longest time that the soak itself got no turn, s", self.longest_stall),
            ("chats opened", self.chats_opened),
            ("moves; of them crossed", f"{self.moves}; {self.crossings}"),
            ("rekeys", self.rekeys),
            ("notices of a store that was put back", self.state_lost),
            ("records left at nodes once all chats were deleted", sum(self.records_left.values())),
        ]

    def _bars(self) -> list[tuple[int, int, str]]:
        most = max(self.per_minute, default=0) or 1
        return [(minute, count, "▇" * round(30 * count / most)) for minute, count in enumerate(self.per_minute)]

    def write(self, folder: Path) -> None:
        """soak.json and soak.md."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "soak.json").write_text(json.dumps(self.to_dict(), indent=1) + "\n")
        (folder / "soak.md").write_text(self.to_page())


def _by_kind(faults: list[Harm], kinds: list[str]) -> dict[str, KindFigures]:
    found = {kind: KindFigures() for kind in kinds}
    for harm in faults:
        figures = found[harm.kind]
        if harm.nothing:
            figures.without_effect += 1
            figures.why[harm.nothing] = figures.why.get(harm.nothing, 0) + 1
        else:
            figures.effective += 1
    return found


def _around(faults: list[Harm], seen: Any, world: World) -> list[str]:
    """Kinds and targets of the faults that the ends of this chat, or nodes, had meanwhile."""
    nodes = {node.node_id for node in world.mesh.nodes}
    apps, ended = world.ledger.chats[seen.chat].apps, seen.began + seen.seconds
    return [
        f"{harm.kind} {'+'.join(harm.targets)}"
        for harm in faults
        if harm.began < ended and (harm.ended or ended) > seen.began and set(harm.targets) & (apps | nodes)
    ][:SHOWN_SILENCES]


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _join(why: dict[str, int]) -> str:
    most = sorted(why.items(), key=lambda item: -item[1])
    return ", ".join(f"{text} ({times})" for text, times in most[:3])
