"""Worlds with a mutant in them: what they break that the same worlds without it keep."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.expected import sort_out
from tests.simulation.mutants.mutant import Mutant
from tests.simulation.schedule import SCHEDULES, Schedule, draw_schedule
from tests.simulation.world import World


def order_worlds(mutant: Mutant, seeds: int) -> Iterator[Schedule]:
    """The one that is known to show it first (what found it, made small, or a seed), then all others."""
    if mutant.schedule:
        yield Schedule.from_json((SCHEDULES / mutant.schedule).read_bytes())
    else:
        yield draw_schedule(mutant.starts_at)
    yield from (draw_schedule(seed) for seed in range(seeds) if mutant.schedule or seed != mutant.starts_at)


def run_world(schedule: Schedule) -> dict[str, str]:
    """A text for each invariant that is broken and nobody expected."""
    unknown, _ = sort_out(World(schedule).run())
    broken: dict[str, str] = {}
    for violation in unknown:
        broken.setdefault(violation.invariant, f"{violation.at_s:.3f} s  {violation.text}")
    return broken


def run_mutant(mutant: Mutant, schedule: Schedule) -> dict[str, str]:
    """As `run_world`, with the mutant in it; what the world without it breaks as well does not count.

    A world that the mutant keeps from its end, by a busy loop for instance, is listed by the error's name.
    """
    with mutant.applied():
        try:
            broken = run_world(schedule)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the mutant's
            broken = {type(error).__name__: repr(error)}
    without = run_world(schedule) if broken else {}
    return {name: text for name, text in broken.items() if name not in without}
