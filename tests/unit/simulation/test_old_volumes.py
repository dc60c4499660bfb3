"""Faults that make a node an older copy of itself, and middles that see: each is drawn, takes effect, and harms nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.adversary import ABILITIES
from tests.simulation.expected import sort_out
from tests.simulation.invariants.marks import MarksAreJudged
from tests.simulation.mutants.catalogue import ALL
from tests.simulation.schedule import Fault, draw_schedule
from tests.simulation.world import World

AT_S = 1_060.0
OLD = {
    "again": Fault(AT_S, "roll_back_again", "hermes-1", for_s=8.0, amount=3),
    "crashes": Fault(AT_S, "crash_loop", "hermes-1", amount=4),
    "log": Fault(AT_S, "cut_log", "hermes-1", for_s=0.5, amount=0.5),
}


def test_every_ability_of_a_middle_is_drawn() -> None:
    assert {fault.how for seed in range(600) for fault in draw_schedule(seed).faults} - {""} == set(ABILITIES)


@pytest.mark.parametrize("name", OLD)
def test_an_old_volume_takes_effect_and_harms_nobody(name: str) -> None:
    world = World(replace(draw_schedule(3), faults=[OLD[name]]))
    report = world.run()
    assert [effect.took for effect in report.effects] == [True]
    assert sort_out(report)[0] == []
    assert world.machine("hermes-1").starts == {"again": 4, "crashes": 6, "log": 2}[name]


@pytest.mark.parametrize("how", ["hold", "withhold", "unsign", "prove_twice", "speak_first"])
def test_a_middle_that_sees_takes_effect_and_harms_nobody(how: str) -> None:
    report = World(replace(draw_schedule(3), faults=[Fault(AT_S, "hostile_middle", "hermes-2", for_s=15.0, how=how)])).run()
    assert [effect.took for effect in report.effects] == [True]
    assert sort_out(report)[0] == []


def test_a_false_verdict_in_an_honest_world_is_told() -> None:
    mutant = next(mutant for mutant in ALL if mutant.name == "opening-left-at-its-start")
    honest = replace(draw_schedule(3), faults=[OLD["crashes"]])
    assert World(honest).run().violations == []
    with mutant.applied():
        told = [it.text for it in World(honest).run().violations if it.invariant == MarksAreJudged.name]
    assert any("was never put back, and says" in text for text in told)
