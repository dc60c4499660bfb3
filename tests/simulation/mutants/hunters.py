"""One process for each mutant's hunt: one that hangs or crashes harms no other, and counts as caught by that."""

from __future__ import annotations

import gc
import multiprocessing
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from tests.simulation.mutants.hunt import order_worlds, run_mutant
from tests.simulation.mutants.mutant import Mutant
from tests.simulation.settings import scratch_folder, settle_apart

WORLD_S: Final = 60.0
"""A world that takes longer hangs; one takes half a second, and twice that with its check."""

HANGS: Final = "a world that does not end"
CRASHES: Final = "a process that died"


@dataclass
class Finding:
    """What became of a mutant. `invariants` it breaks in the world of `seed`, the `worlds`th; none: it was not caught."""

    mutant: Mutant
    seed: int = -1
    worlds: int = 0
    invariants: tuple[str, ...] = ()
    trouble: str = ""


class Hunter:
    """A process that hunts one mutant, and tells each world before and after it."""

    def __init__(self, mutant: Mutant, seeds: int) -> None:
        context: Any = multiprocessing.get_context("fork")
        self.ear, mouth = context.Pipe(duplex=False)
        self._finding = Finding(mutant)
        self._process: BaseProcess = context.Process(target=_hunt, args=(mutant, seeds, scratch_folder(), mouth), daemon=True)
        self._process.start()
        mouth.close()
        self.deadline_s = time.monotonic() + WORLD_S

    def hear(self) -> Finding | None:
        """The finding, once the process has said its last word."""
        try:
            seed, broken = self.ear.recv()
        except EOFError:
            if self._finding.invariants or self._finding.trouble:
                return self._end()
            return self._end(CRASHES)
        if seed is None:
            self._finding.trouble = "no world shows it"
        elif broken is None:
            self.deadline_s = time.monotonic() + WORLD_S
            self._finding.seed = seed
            self._finding.worlds += 1
        else:
            self._finding.invariants = broken
        return None

    def give_up(self) -> Finding:
        self._process.kill()
        return self._end(HANGS)

    def _end(self, caught_by: str = "") -> Finding:
        self._process.join()
        self.ear.close()
        if caught_by:
            self._finding.invariants = (caught_by,)
        return self._finding


def hunt_all(mutants: Sequence[Mutant], seeds: int, jobs: int) -> Iterator[Finding]:
    """As they come, on `jobs` processes."""
    waiting = list(reversed(mutants))
    running: dict[Connection, Hunter] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            hunter = Hunter(waiting.pop(), seeds)
            running[hunter.ear] = hunter
        timeout_s = max(0.0, min(hunter.deadline_s for hunter in running.values()) - time.monotonic())
        for ear in wait(list(running), timeout_s):
            finding = running[ear].hear()  # type: ignore[index]
            if finding is not None:
                del running[ear]  # type: ignore[arg-type]
                yield finding
        for ear, hunter in list(running.items()):
            if time.monotonic() >= hunter.deadline_s:
                del running[ear]
                yield hunter.give_up()


def _hunt(mutant: Mutant, seeds: int, parent: Path, mouth: Connection) -> None:
    settle_apart(parent)
    gc.disable()
    try:
        for schedule in order_worlds(mutant, seeds):
            mouth.send((schedule.seed, None))
            broken = run_mutant(mutant, schedule)
            if broken:
                mouth.send((schedule.seed, tuple(sorted(broken))))
                return
        mouth.send((None, None))
    finally:
        mouth.close()
        shutil.rmtree(scratch_folder(), ignore_errors=True)
