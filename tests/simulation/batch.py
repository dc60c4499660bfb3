"""Many worlds, on all cores: each seed its own, and what comes of them summed up."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.expected import sort_out
from tests.simulation.schedule import draw_schedule
from tests.simulation.settings import scratch_folder, settle_apart
from tests.simulation.world import World

WORLDS_A_PROCESS = 100
"""A process ends after so many, and all their garbage with it: looking for it costs a fifth of a world."""


@dataclass
class Outcome:
    """One seed's. `violations` nobody expected, as lines; `known` by what ends or cures them."""

    seed: int
    messages: int = 0
    delivered: int = 0
    cpu_s: float = 0.0
    set_up_s: float = 0.0
    faults: int = 0
    effective: int = 0
    violations: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    digest: str = ""


def run_seed(seed: int) -> Outcome:
    """A world of this seed; a defect of the simulation itself is a violation as well."""
    began = time.process_time()
    outcome = Outcome(seed)
    try:
        report = World(draw_schedule(seed)).run()
    except Exception:  # noqa: BLE001 - whatever it is, this seed has found it
        outcome.violations.append(traceback.format_exc())
        return outcome
    unknown, known = sort_out(report)
    outcome.messages, outcome.delivered, outcome.digest = report.messages, report.delivered, report.digest
    outcome.set_up_s = report.set_up_s
    outcome.faults, outcome.effective = len(report.effects), sum(effect.took for effect in report.effects)
    outcome.violations = [f"{violation.at_s:10.4f} s  {violation.invariant}: {violation.text}" for violation in unknown]
    outcome.known = [entry.until for _, entry in known]
    outcome.cpu_s = time.process_time() - began
    return outcome


def run_seeds(seeds: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """As they come, on `jobs` processes."""
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    with context.Pool(jobs, _settle, (scratch_folder(),), maxtasksperchild=WORLDS_A_PROCESS) as pool:
        yield from pool.imap_unordered(run_seed, seeds)


def _settle(parent: Path) -> None:
    settle_apart(parent)
    gc.disable()


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Total:
    """The sum of many outcomes."""

    worlds: int = 0
    messages: int = 0
    delivered: int = 0
    faults: int = 0
    effective: int = 0
    cpu_s: float = 0.0
    slowest_set_up_s: float = 0.0
    fewest_messages: int = 1 << 60
    known: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.worlds += 1
        self.messages += outcome.messages
        self.fewest_messages = min(self.fewest_messages, outcome.messages)
        self.delivered += outcome.delivered
        self.faults += outcome.faults
        self.effective += outcome.effective
        self.cpu_s += outcome.cpu_s
        self.slowest_set_up_s = max(self.slowest_set_up_s, outcome.set_up_s)
        self.known.update(set(outcome.known))
        if outcome.violations:
            self.failed.append(outcome)


def sum_up(outcomes: Iterable[Outcome], tell: Callable[[Total], None]) -> Total:
    total = Total()
    for outcome in outcomes:
        total.add(outcome)
        tell(total)
    return total
