"""The mesh simulator: it repeats, what the page says of small meshes is what it makes, and liars and cuts do no harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hermes_core.mesh.messages import MemberState
from tests.mesh import figures
from tests.mesh.liar import LIES, NAMED_FOR, lie
from tests.mesh.table import FIGURES, SEED, write_row

PAGE = (Path(__file__).parents[3] / "docs" / "swim.md").read_text()
QUICK = [("rest", 10), ("rest", 100), ("detection", 10), ("pair", 20), ("halves", 20), ("mass", 100)]


@pytest.mark.parametrize(("name", "members"), QUICK, ids=str)
def test_the_page_says_what_is_measured(name: str, members: int) -> None:
    row = FIGURES[name].make(members, SEED)
    assert not row.broken
    assert write_row(name, members, row) in PAGE, "python -m tests.mesh --write"


def test_the_page_has_every_figure_at_every_size() -> None:
    commands = re.findall(r"`python -m tests\.mesh (\w+) --members (\d+)`", PAGE)
    assert commands == [(name, str(members)) for name, figure in FIGURES.items() for members in figure.sizes]


def test_a_seed_repeats_and_another_differs() -> None:
    first, again, other = (figures.mass_restart(30, seed) for seed in (3, 3, 4))
    loads = [figures.churn(20, seed) for seed in (3, 3, 4)]
    assert first == again
    assert loads[0] == loads[1] != loads[2]
    assert other > 0


@pytest.mark.parametrize("name", LIES)
def test_a_lie_harms_nobody_and_its_teller_is_named(name: str) -> None:
    harm = lie(8, seed=2, names=[name], seconds=20.0)
    assert (harm.buried, harm.honest_named) == (0, 0)
    assert harm.held <= 8 + 256 + 20
    assert harm.aimed <= 7 * 8
    if name in NAMED_FOR:  # by how many within this short time is drawn for accusations; the page's figure has longer
        assert harm.named_by >= (4 if name == "accuses all" else 7)


def test_who_was_killed_is_dead_and_who_comes_back_is_alive_to_all() -> None:
    world, hosts = figures.settled(12, seed=5)
    victim = hosts[7]
    world.kill(victim)
    world.run_until(world.now + 40.0)
    assert {world.standing(victim, at) for at in hosts if at is not victim} == {MemberState.DEAD}
    world.start(victim, seeds=hosts[:1])
    world.run_until(world.now + 20.0)
    assert {world.standing(victim, at) for at in hosts if at is not victim} == {MemberState.ALIVE}
    assert figures.all_know_all(hosts)
