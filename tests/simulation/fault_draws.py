"""Which faults strike a world, and when: drawn from its seed, each from choices of its own."""

from __future__ import annotations

import random
from typing import Final

from tests.simulation.adversary import EARLIER, LATER
from tests.simulation.draws import Draws
from tests.simulation.loop import START_S
from tests.simulation.schedule import ACTIVE_S, AppPlan, Fault
from tests.simulation.settings import node_name

FIRST_S: Final = 3.0
LAST_S: Final = ACTIVE_S - 25.0
SHORT_S: Final = (0.05, 0.5, 2.0, 6.0)
LONG_S: Final = (0.5, 3.0, 8.0, 15.0, 22.0, 60.0)
PAIR_CUT_S: Final = 78.0
"""Until a silent stream was noticed, a third node found, and what was said through it arrived."""
APART: Final = {
    "slow_disk": 0.25,
    "hostile_middle": 0.1,
    "roll_back_again": 0.06,
    "crash_loop": 0.06,
    "cut_log": 0.06,
    "wrong_clock": 0.06,
    "wrong_clock_alone": 0.06,
    "lose_node": 0.1,
    "cut_pair": 0.1,
}
"""The share of worlds with one of these, each drawn apart from all others, which stay what they were before there was this."""

OF_STORES: Final = {
    "crash_app": 0.6,
    "kill_app_in_the_act": 0.4,
    "cut_power_of_app": 0.3,
    "put_app_back": 0.4,
    "lose_home_and_app": 0.3,
}
"""The same, of worlds in which apps have stores."""

OF_FRONTS: Final = {"kill_front": 0.7, "pause_front": 0.6}
"""The same, of worlds in which nodes have fronts: each up to three times."""
FRONT_FAULTS: Final = 3

_WEIGHTS: Final = {
    "kill": 6,
    "kill_in_the_act": 3,
    "cut_power": 3,
    "pause": 5,
    "drain": 3,
    "mass_restart": 1,
    "kill_app": 2,
    "reconnect": 5,
    "cut": 5,
    "split": 2,
    "lossy": 3,
    "slow": 4,
    "reset": 6,
    "half_open": 5,
    "hostile_middle": 2,
    "fill_disk": 1,
    "hang_disk": 3,
    "break_disk": 1,
    "roll_back": 2,
    "roll_back_unseen": 1,
    "lose_volume": 1,
    "set_clock": 2,
}

_AMOUNTS: Final[dict[str, tuple[float, ...]]] = {
    "lossy": (0.05, 0.3),
    "slow": (0.05, 0.5, 3.0),
    "kill_in_the_act": (1, 2, 3, 4, 5, 6, 7),
    "cut_power": (0.0, 0.5, 0.9),
    "set_clock": (-86_400.0, -60.0, 60.0, 3_600.0),
    "slow_disk": (0.06, 0.4, 1.0, 3.0),
    "roll_back_again": (2, 2, 3),
    "crash_loop": (1, 2, 4),
    "cut_log": (0.0, 0.5, 0.9, 1.0),
    "wrong_clock": (40 * 86_400.0, 400 * 86_400.0, -400 * 86_400.0),
    "wrong_clock_alone": (40 * 86_400.0, 400 * 86_400.0),
    "kill_front": (1, 1, 2, 4),
    "crash_app": (1, 2, 4),
    "kill_app_in_the_act": (1, 2, 3, 4, 5, 6, 7),
    "cut_power_of_app": (0.0, 0.5, 0.9),
    "lose_home_and_app": (0.0, 0.5, 7.0, 9.0, 10.0, 12.0),
}


def draw_faults(draws: Draws, nodes: int, apps: list[str]) -> list[Fault]:
    """None in one world of ten, otherwise one to nine; besides, in some worlds, one of each of those that are drawn apart."""
    how_many = draws.of("faults").choice((0, 1, 2, 3, 3, 4, 5, 6, 7, 9))
    faults = [_draw(draws.of("fault", str(number)), nodes, apps) for number in range(how_many)]
    for kind, share in APART.items():
        choices = draws.of(kind.replace("_", " "))
        if choices.random() < share:
            faults.append(_draw_apart(kind, choices, nodes))
    return sorted(faults, key=lambda it: it.at_s)


def draw_faults_of_stores(draws: Draws, apps: list[AppPlan]) -> list[Fault]:
    """Each strikes an app with a store."""
    kept, faults = [app.name for app in apps if app.store], []
    for kind, share in OF_STORES.items() if kept else ():
        choices = draws.of(kind.replace("_", " "))
        if choices.random() < share:
            at_s = START_S + choices.uniform(FIRST_S, LAST_S)
            amount = choices.choice(_AMOUNTS.get(kind, (0.0,)))
            for_s = choices.choice(LONG_S if kind == "put_app_back" else SHORT_S)
            faults.append(Fault(at_s, kind, choices.choice(kept), for_s=for_s, amount=amount))
    return faults


def draw_faults_of_fronts(draws: Draws, nodes: int) -> list[Fault]:
    faults = []
    for kind, share in OF_FRONTS.items():
        choices = draws.of(kind.replace("_", " "))
        for _ in range(FRONT_FAULTS):
            if choices.random() < share:
                at_s, node = START_S + choices.uniform(FIRST_S, LAST_S), node_name(choices.randrange(nodes))
                amount = choices.choice(_AMOUNTS.get(kind, (0.0,)))
                faults.append(Fault(at_s, kind, node, for_s=choices.choice(LONG_S), amount=amount))
    return faults


def _draw_apart(kind: str, choices: random.Random, nodes: int) -> Fault:
    if kind == "cut_pair":
        one, other = (node_name(number) for number in choices.sample(range(nodes), 2))
        return Fault(START_S + choices.uniform(FIRST_S, 25.0), kind, one, other, for_s=PAIR_CUT_S)
    node, at_s = node_name(choices.randrange(nodes)), START_S + choices.uniform(FIRST_S, LAST_S)
    long_s, amount = choices.choice(LONG_S), choices.choice(_AMOUNTS.get(kind, (0.0,)))
    how = choices.choice(LATER).__name__ if kind == "hostile_middle" else ""
    return Fault(at_s, kind, node, for_s=long_s, amount=amount, how=how)


def _draw(choices: random.Random, nodes: int, apps: list[str]) -> Fault:
    kind = choices.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    at_s = START_S + choices.uniform(FIRST_S, LAST_S)
    names = [node_name(number) for number in range(nodes)]
    node, other_node = choices.sample(names, 2)
    app = choices.choice(apps)
    short_s, long_s = choices.choice(SHORT_S), choices.choice(LONG_S)
    target, other = node, ""
    if kind in {"kill_app", "reconnect"} or (kind == "pause" and choices.random() < 0.5):
        target = app
    elif kind == "split":
        target = ",".join(sorted(choices.sample(names, choices.choice((1, 2)))))
    elif kind == "mass_restart":
        target = ""
    elif kind in {"cut", "reset", "half_open", "lossy", "slow"}:
        other = choices.choice((other_node, app))
    elif kind == "hostile_middle":
        other = choices.choice((app, app, other_node))
    for_s = short_s if kind in {"kill_app", "reconnect", "set_clock", "mass_restart"} else long_s
    amounts = _AMOUNTS.get(kind, (0.0,))
    how = choices.choice(sorted(it.__name__ for it in EARLIER)) if kind == "hostile_middle" else ""
    return Fault(at_s, kind, target, other, for_s, choices.choice(amounts), how)
