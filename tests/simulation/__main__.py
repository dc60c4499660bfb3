"""`python -m tests.simulation`: many worlds, one world told line by line, or a failing one made small.

--seeds 2000                 worlds of the seeds 0 to 1999, on all cores
--seed 7 [--trace]           one world; --trace tells who told whom what
--schedule FILE [--trace]    the world of a schedule (JSON)
--membership gossip          with members that hear each other all the time; any of the above
--fronts 1                   with so many processes before each node, which die and stand still; any of the others
--shrink 7                   the smallest schedule that still fails, as JSON in build/simulation/
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.simulation.batch import Total, count_cores, run_seeds, sum_up
from tests.simulation.expected import sort_out
from tests.simulation.schedule import Schedule, draw_schedule
from tests.simulation.settings import use_fronts, use_membership
from tests.simulation.shrink import shrink
from tests.simulation.trace import Tracer
from tests.simulation.world import World

BUILD = Path("build/simulation")
TOLD = 20
"""Failing seeds that are told, as they come."""

VIOLATIONS_TOLD = 8


def main() -> int:
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__, formatter_class=form)
    parser.add_argument("--seeds", type=int, metavar="N", help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    parser.add_argument("--jobs", type=int, default=count_cores(), help="processes (default: one a core)")
    parser.add_argument("--seed", type=int, help="one world")
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="the world of a schedule")
    parser.add_argument("--trace", action="store_true", help="tell who told whom what")
    parser.add_argument("--shrink", type=int, metavar="SEED", help="make a failing world small")
    parser.add_argument("--membership", choices=("swim", "gossip"), default="swim", help="mesh.membership of every node")
    parser.add_argument("--fronts", type=int, default=0, metavar="N", help="app.fronts of every node")
    options = parser.parse_args()
    use_membership(options.membership)
    use_fronts(options.fronts)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leaves no folder and no worker behind
    try:
        return _run(parser, options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (OSError, ValueError) as error:  # msgspec's errors of a schedule are ValueErrors
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.seeds is not None:
        if options.seeds < 1 or options.jobs < 1:
            raise ValueError("--seeds and --jobs are at least 1")
        return _run_many(options.first, options.seeds, options.jobs)
    if options.shrink is not None:
        return _shrink(options.shrink)
    if options.schedule is not None:
        return _run_one(Schedule.from_json(options.schedule.read_bytes()), trace=options.trace)
    if options.seed is not None:
        return _run_one(draw_schedule(options.seed), trace=options.trace)
    parser.print_help()
    return 2


def _run_many(first: int, seeds: int, jobs: int) -> int:
    began = time.monotonic()
    shown_at, shown = [began], [0]

    def tell(total: Total) -> None:
        now = time.monotonic()
        for outcome in total.failed[shown[0] : TOLD]:
            print(f"\nFAIL seed {outcome.seed}    make sim SEED={outcome.seed} TRACE=1    make sim-shrink SEED={outcome.seed}")
            print("\n".join(outcome.violations[:VIOLATIONS_TOLD]), flush=True)
        shown[0] = len(total.failed)
        if now - shown_at[0] >= 10:
            shown_at[0] = now
            print(f"{total.worlds}/{seeds} worlds, {total.messages:,} messages, {len(total.failed)} failed", flush=True)

    total = sum_up(run_seeds(range(first, first + seeds), jobs), tell)
    for until, worlds in sorted(total.known.items()):
        print(f"known, until {until}: in {worlds} worlds")
    spent = time.monotonic() - began
    print(
        f"{total.worlds} worlds, {total.messages:,} wire messages (at least {total.fewest_messages:,} a world), "
        f"{total.delivered:,} delivered, "
        f"{total.effective} of {total.faults} faults took effect, {len(total.failed)} worlds failed; "
        f"{spent:.0f} s on {jobs} cores, {1000 * total.cpu_s / max(1, total.worlds):.0f} ms a world"
    )
    return 1 if total.failed else 0


def _run_one(schedule: Schedule, *, trace: bool) -> int:
    world = World(schedule)
    if trace:
        Tracer(world, print)
    report = world.run()
    unknown, known = sort_out(report)
    for violation in unknown:
        print(f"FAIL {violation.at_s:10.4f} s  {violation.invariant}: {violation.text}")
    for violation, entry in known:
        print(f"known, until {entry.until}: {violation.invariant}: {violation.text}")
    took = ", ".join(f"{it.fault.kind}{'' if it.took else ' (no effect)'}" for it in report.effects)
    print(f"seed {report.seed}: {report.messages:,} wire messages, {report.delivered} delivered, faults: {took or 'none'}")
    print(f"{report.wall_s:.2f} s, set up in {report.set_up_s * 1000:.0f} ms, trace {report.digest}")
    return 1 if unknown else 0


def _shrink(seed: int) -> int:
    try:
        schedule, invariant = shrink(draw_schedule(seed))
    except ValueError as error:
        print(f"seed {seed}: {error}")
        return 1
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{seed}.json"
    path.write_bytes(schedule.to_json() + b"\n")
    operations = sum(len(chat.operations) for chat in schedule.chats)
    left = f"{len(schedule.faults)} faults, {len(schedule.chats)} chats, {operations} operations"
    print(f"{path}: {left} still break: {invariant}")
    print(f"look at it: python -m tests.simulation --schedule {path} --trace")
    print("keep it: as mended-….json in tests/simulation/schedules, with a mutant that puts the fault back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
