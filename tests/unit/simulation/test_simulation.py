"""The simulator itself: a seed repeats every byte, leaving a fault out moves no other choice, time and processes behave."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.batch import run_seed
from tests.simulation.expected import EXPECTED, Expected, sort_out
from tests.simulation.fault_draws import OF_FRONTS
from tests.simulation.faults import KINDS
from tests.simulation.loop import BusyLoopError, DeadlockError, Process, VirtualLoop
from tests.simulation.schedule import Fault, Schedule, draw_schedule
from tests.simulation.shrink import Shrinker
from tests.simulation.trace import Tracer
from tests.simulation.world import World

ROOT = Path(__file__).parents[3]
SCHEDULES = ROOT / "tests" / "simulation" / "schedules"


def test_a_seed_repeats_every_byte_under_another_order_of_hashes() -> None:
    def digest(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "--seed", "23"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        return told.rpartition("trace ")[2]

    assert digest("1") == digest("2") != ""


def test_a_world_repeats_within_one_process() -> None:
    schedule = draw_schedule(7)
    assert World(schedule).run().digest == World(schedule).run().digest


def test_a_schedule_survives_json() -> None:
    schedule = draw_schedule(11)
    assert Schedule.from_json(schedule.to_json()) == schedule


def test_leaving_a_fault_out_moves_no_other_choice() -> None:
    schedule = draw_schedule(5)
    late = Fault(1_100.0, "reconnect", "app-0")
    until_then = []
    for faults in (schedule.faults, [*schedule.faults, late]):
        lines: list[str] = []
        world = World(replace(schedule, faults=faults))
        Tracer(world, lines.append)
        world.run()
        until_then.append([line for line in lines if float(line.split()[0]) < 100.0])
    assert until_then[0] == until_then[1] != []


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_broken(seed: int) -> None:
    outcome = run_seed(seed)
    assert outcome.violations == [], f"make sim SEED={seed} TRACE=1"
    assert outcome.messages >= 1_000


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry.schedule.removesuffix(".json"))
def test_what_is_expected_to_fail_still_does(entry: Expected) -> None:
    """Once it is cured this fails: take the entry away."""
    schedule = Schedule.from_json((SCHEDULES / entry.schedule).read_bytes())
    known = [found for _, found in sort_out(World(schedule).run())[1]]
    assert entry in known


@pytest.mark.parametrize("path", sorted(SCHEDULES.glob("cured-*.json")), ids=lambda path: path.stem)
def test_what_was_expected_to_fail_does_not_any_more(path: Path) -> None:
    """What no mutant brings back to the same world: its messages have other bytes now."""
    assert World(Schedule.from_json(path.read_bytes())).run().violations == []


def build_loop() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]


def test_time_is_virtual_and_in_order() -> None:
    loop = build_loop()
    seen: list[object] = []

    async def main() -> None:
        for delay in (3.0, 1.0, 2.0):
            loop.call_later(delay, seen.append, delay)
        await asyncio.sleep(86_400.0)

    began = loop.time()
    loop.run(main())
    assert seen == [1.0, 2.0, 3.0]
    assert loop.time() - began == 86_400.0


def test_after_a_pause_timers_come_before_what_waits_in_sockets() -> None:
    loop = build_loop()
    seen: list[object] = []
    process = Process("one#1")

    async def main() -> None:
        process.context.run(loop.call_later, 1.0, seen.append, "timer")
        loop.deliver_at(loop.time() + 2.0, seen.append, "input", context=process.context)
        loop.pause(process)
        await asyncio.sleep(5.0)
        assert seen == []
        loop.resume(process)
        await asyncio.sleep(0.1)

    loop.run(main())
    assert seen == ["timer", "input"]


def test_nothing_of_a_killed_process_runs_again() -> None:
    loop = build_loop()
    seen: list[object] = []
    process = Process("one#1")

    async def victim() -> None:
        try:
            await asyncio.sleep(10.0)
        finally:
            seen.append("finally")

    async def main() -> None:
        process.context.run(loop.create_task, victim())
        await asyncio.sleep(1.0)
        loop.kill(process)
        await asyncio.sleep(60.0)
        assert seen == []

    loop.run(main())


def test_a_busy_loop_and_a_deadlock_are_told() -> None:
    loop = build_loop()

    def again() -> None:
        loop.call_soon(again)

    async def spin() -> None:
        again()
        await asyncio.sleep(1.0)

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(BusyLoopError):
        loop.run(spin())
    with pytest.raises(DeadlockError):
        build_loop().run(wait())


def test_shrinking_leaves_what_matters() -> None:
    schedule = next(found for seed in range(50) if len((found := draw_schedule(seed)).faults) >= 5)
    needed, chat = schedule.faults[2], schedule.chats[4]

    def fails(candidate: Schedule) -> bool:
        operations = next((it.operations for it in candidate.chats if it.number == chat.number), [])
        return needed in candidate.faults and chat.operations[1] in operations

    small = Shrinker(fails, time.monotonic() + 60.0).shrink(schedule)
    assert small.faults == [needed]
    assert [(it.number, it.operations) for it in small.chats] == [(chat.number, [chat.operations[1]])]
    assert {app.name for app in small.apps} <= {chat.initiator, chat.acceptor, needed.target, needed.other}


def test_every_fault_is_drawn_and_takes_effect() -> None:
    drawn = {fault.kind for seed in range(400) for fault in draw_schedule(seed).faults}
    assert drawn == set(KINDS) - set(OF_FRONTS)
    seed = next(seed for seed in range(400) if len(draw_schedule(seed).faults) >= 7)
    report = World(draw_schedule(seed)).run()
    assert any(effect.took for effect in report.effects)
    assert len(report.effects) == len(draw_schedule(seed).faults)


GOOD = replace(draw_schedule(3), faults=[Fault(1_010.0, "kill", "hermes-1")])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "Input data was truncated"),
        (b'{"seed": 1}', "missing required field"),
        (
            replace(GOOD, faults=[Fault(1_010.0, "earthquake", "hermes-1")]).to_json(),
            "there is no fault 'earthquake'; there are ",
        ),
        (replace(GOOD, faults=[Fault(1_010.0, "kill", "hermes-99")]).to_json(), "there is no machine 'hermes-99'; there"),
    ],
    ids=["empty", "incomplete", "fault", "machine"],
)
def test_a_schedule_that_cannot_be_is_refused_in_a_line(tmp_path: Path, written: bytes, told: str) -> None:
    path = tmp_path / "schedule.json"
    path.write_bytes(written)
    command = [sys.executable, "-m", "tests.simulation", "--schedule", str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
