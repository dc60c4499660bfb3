"""The catalogue of mutants: names, rooms and invariants; a handful is caught here, all of them by `make sim-mutants`."""

from __future__ import annotations

import pytest

from tests.simulation.invariants import ALL as INVARIANTS
from tests.simulation.mutants.catalogue import ALL
from tests.simulation.mutants.hunt import order_worlds, run_mutant, run_world
from tests.simulation.mutants.hunters import hunt_all
from tests.simulation.mutants.mutant import EXACTLY_ONCE, NO_DEFECT, Mutant, Patches, Room
from tests.simulation.schedule import SCHEDULES, draw_schedule
from tests.simulation.settings import scratch_folder

BY_NAME = {mutant.name: mutant for mutant in ALL}
QUICK = ("ends-not-awaited", "late-offer", "reused-nonce", "keys-not-wiped")


def test_every_mutant_has_a_name_of_its_own_and_six_are_in_shells() -> None:
    assert len(BY_NAME) == len(ALL) >= 12
    assert sum(mutant.room is Room.SHELL for mutant in ALL) >= 6
    assert {mutant.room for mutant in ALL} == set(Room)


def test_every_invariant_has_a_mutant_that_was_made_for_it() -> None:
    names = {invariant.name for invariant in INVARIANTS} | {EXACTLY_ONCE, NO_DEFECT}
    assert {mutant.invariant for mutant in ALL} == names


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught_by_what_it_was_made_for(name: str) -> None:
    mutant = BY_NAME[name]
    assert mutant.invariant in run_mutant(mutant, next(order_worlds(mutant, 1)))


def test_many_are_faults_of_this_projects_own_history() -> None:
    assert sum(bool(mutant.history) for mutant in ALL) >= 9  # and reused-nonce, which was only ever a case


@pytest.mark.parametrize("mutant", [mutant for mutant in ALL if mutant.schedule], ids=lambda mutant: mutant.name)
def test_what_the_simulation_found_is_mended_and_would_be_found_again(mutant: Mutant) -> None:
    schedule = next(order_worlds(mutant, 1))
    assert run_world(schedule) == {}
    assert mutant.invariant in run_mutant(mutant, schedule)


def test_every_mended_schedule_has_its_mutant() -> None:
    assert {path.name for path in SCHEDULES.glob("mended-*.json")} == {mutant.schedule for mutant in ALL if mutant.schedule}


def test_a_mutant_is_taken_out_again() -> None:
    before = run_world(draw_schedule(0))
    with BY_NAME["reused-nonce"].applied():
        assert run_world(draw_schedule(0)) != before
    assert run_world(draw_schedule(0)) == before == {}


def test_the_known_seed_comes_first_and_no_seed_twice() -> None:
    assert [world.seed for world in order_worlds(BY_NAME["sinks-pile-up"], 8)] == [1, 0, 2, 3, 4, 5, 6, 7]


def test_what_dies_or_cannot_be_caught_is_told() -> None:
    def die(_: Patches) -> None:
        raise SystemExit

    dead = Mutant("dead", Room.CORE, "It ends its process.", NO_DEFECT, die)
    equal = Mutant("equal", Room.CORE, "It breaks nothing.", NO_DEFECT, lambda _: None)
    found = {finding.mutant.name: finding for finding in hunt_all([dead, equal], 1, 1)}
    assert found["dead"].invariants == ("a process that died",)
    assert (found["equal"].invariants, found["equal"].worlds) == ((), 1)
    assert found["equal"].trouble == "no world shows it"
    assert scratch_folder().is_dir()  # theirs were others
