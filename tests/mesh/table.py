"""Every figure of docs/swim.md: what it is called, at which sizes it is made, how it is written, and what it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.mesh import figures
from tests.mesh.figures import Load, Wrong
from tests.mesh.liar import LIES, NAMED_FOR, lie

SEED: Final = 1
RANDOM_LIARS: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """`text` is what the page says; `broken` why it must not be so."""

    text: str
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    sizes: tuple[int, ...]
    make: Callable[[int, int], Row]


def _load(load: Load) -> str:
    return f"{load.messages:.2f} messages, {load.kilobytes:.2f} kB, {load.cpu_ms:.2f} ms of CPU, {load.dials:.3f} dials"


def _rest(members: int, seed: int) -> Row:
    load = figures.rest(members, seed)
    least = figures.rest(10, seed)
    pairs = ((load.messages, least.messages), (load.kilobytes, least.kilobytes), (load.cpu_ms, least.cpu_ms))
    worst = max(a / b for a, b in pairs)
    ratio = "" if members == 10 else f"; at most {worst:.2f} times that of 10"
    return Row(_load(load) + ratio, "grows with the mesh" if worst > 1.2 else "")


def _churn(members: int, seed: int) -> Row:
    load = figures.churn(members, seed)
    return Row(f"{_load(load)}, at {load.updates:.3f} restarts a second")


def _detection(members: int, seed: int) -> Row:
    first, median, last = figures.detection(members, seed, kills=min(5, members // 5))
    return Row(f"{first:.1f} at the first member; median {median:.1f}, p99 {last:.1f} of all")


def _wrong(measure: Callable[[int, int], Wrong], *, spared: bool = False) -> Callable[[int, int], Row]:
    def make(members: int, seed: int) -> Row:
        wrong = measure(members, seed)
        accused = f"{wrong.accused} accusations ({wrong.suspected} times suspect)"
        text = f"{wrong.buried} held dead, {accused}, in {wrong.hours:.1f} member hours"
        broken = "the living are held dead" if wrong.buried else "the honest are named" if wrong.named else ""
        return Row(text, broken or ("a member is suspect" if spared and wrong.suspected else ""))

    return make


def _mass(members: int, seed: int) -> Row:
    seconds = figures.mass_restart(members, seed)
    return Row(f"{seconds:.1f} s", "" if seconds <= 60 else "takes more than a minute")


def _halves(members: int, seed: int) -> Row:
    buried, healed = figures.halves(members, seed)
    return Row(f"{healed:.1f} s, after {buried:.1f} s in which they buried each other", "" if healed <= 120 else "too long")


def _each_lie(members: int, seed: int) -> Row:
    harms = {name: lie(members, seed, [name], 30.0) for name in LIES}
    held = max(harm.held for harm in harms.values())
    aimed = max(harm.aimed for harm in harms.values())
    text = (
        f"{len(harms)} lies: {sum(harm.buried for harm in harms.values())} held dead; at most {held} names held, {aimed} dials"
        f" at a third party, {max(harm.cpu_ms for harm in harms.values()):.2f} ms of CPU a second"
    )
    unnamed = [name for name in NAMED_FOR if harms[name].named_by < members - 1]
    wrong = [name for name, harm in harms.items() if harm.buried or harm.honest_named]
    return Row(text, "; ".join([*(f"not named: {name}" for name in unnamed), *(f"harm: {name}" for name in wrong)]))


def _random_liar(members: int, seed: int) -> Row:
    harms = {seed + index: lie(members, seed + index, list(LIES), 60.0) for index in range(RANDOM_LIARS)}
    worst = max(harms.values(), key=lambda harm: harm.aimed)
    text = (
        f"seeds {min(harms)} to {max(harms)}: {sum(harm.buried for harm in harms.values())} held dead; named by all;"
        f" at most {max(harm.held for harm in harms.values())} names held, {worst.aimed} dials at a third party"
    )
    wrong = [s for s, harm in harms.items() if harm.buried or harm.honest_named or harm.named_by < members - 1]
    return Row(text, f"seeds {wrong}" if wrong else "")


FIGURES: Final[dict[str, Figure]] = {
    "rest": Figure("Load of a member at rest, a second", (10, 100, 1000), _rest),
    "churn": Figure("Load when 1 % of the members restart a minute, a second", (100, 1000), _churn),
    "detection": Figure("Periods from a kill until a member is held dead", (10, 100, 1000), _detection),
    "loss": Figure("5 % of messages and dials are lost, 5 minutes", (100,), _wrong(figures.loss)),
    "slow": Figure("One member hears everything 2 s late, 5 minutes", (100,), _wrong(figures.slow)),
    "paused": Figure("One of ten stands still for 5 s", (100,), _wrong(figures.paused)),
    "pair": Figure("Two never reach each other, 10 minutes", (20,), _wrong(figures.pair_cut, spared=True)),
    "mass": Figure("All start at once: until all know all", (100, 1000), _mass),
    "halves": Figure("Two halves are healed: until all know all", (20, 100), _halves),
    "lies": Figure("A liar, each lie for 30 s, 20 a second", (12,), _each_lie),
    "liar": Figure("A liar, all lies at random for a minute", (12,), _random_liar),
}


def write_row(name: str, members: int, row: Row) -> str:
    return f"| {FIGURES[name].title} | {members:,} | {row.text} | `python -m tests.mesh {name} --members {members}` |"
