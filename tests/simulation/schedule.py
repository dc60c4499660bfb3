"""Everything that happens to a world from outside, as explicit lists: chats with operations, and faults."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from tests.simulation.draws import Draws
from tests.simulation.loop import START_S
from tests.simulation.settings import APP_PORT, current_fronts, node_name

NODES: Final = 5
APPS: Final = 8
CHATS: Final = 12
SCHEDULES: Final = Path(__file__).parent / "schedules"
OPERATIONS: Final = ("send", "rekey", "delete")
STORES_SHARE: Final = 0.25
"""Of worlds: in these, of apps the next share has a store."""
STORE_SHARE: Final = 0.75
ACTIVE_S: Final = 120.0
"""How long apps talk; then everything is healed, and the world comes to rest."""


@dataclass(frozen=True)
class Operation:
    """`by`: the app. Kinds: send (`count` messages of `size` bytes), rekey, delete."""

    at_s: float
    by: str
    kind: str
    count: int = 1
    size: int = 0


@dataclass(frozen=True)
class ChatPlan:
    number: int
    at_s: float
    initiator: str
    acceptor: str
    operations: list[Operation] = field(default_factory=list)


@dataclass(frozen=True)
class Fault:
    """`kind` names a function of tests.simulation.faults; `target` a machine or app, `other` a second one."""

    at_s: float
    kind: str
    target: str
    other: str = ""
    for_s: float = 0.0
    amount: float = 0.0
    how: str = ""


@dataclass(frozen=True)
class AppPlan:
    """`store`: its chats outlive its process."""

    name: str
    addresses: list[str]
    store: bool = False


@dataclass(frozen=True)
class Schedule:
    seed: int
    nodes: int
    apps: list[AppPlan]
    chats: list[ChatPlan]
    faults: list[Fault]
    active_s: float = ACTIVE_S
    window: int = 16
    """Positions that a reservation covers; a small one is crossed often."""
    rotates: bool = False
    """Whether keystores rotate meanwhile: each slice takes a turn of a disk, which moves what follows."""
    membership: str = ""
    """`mesh.membership` of a world that shows something of one of the two; others have what is asked for."""
    fronts: int = 0
    """Processes of each node that take its apps' streams."""

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def from_json(cls, data: bytes) -> Schedule:
        """ValueError says what is wrong with it."""
        found = msgspec.json.decode(data, type=cls)
        found.check()
        return found

    def check(self) -> None:
        """ValueError when something is named that is not there: it would happen to nobody."""
        from tests.simulation.adversary import ABILITIES
        from tests.simulation.faults import KINDS

        apps = {app.name for app in self.apps}
        machines = apps | {node_name(number) for number in range(self.nodes)}
        for fault in self.faults:
            _check(fault.kind, KINDS, "fault")
            for name in filter(None, (*fault.target.split(","), fault.other)):
                _check(name, machines, "machine")
            if fault.how:
                _check(fault.how, ABILITIES, "ability")
        for chat in self.chats:
            for name in (chat.initiator, chat.acceptor, *(operation.by for operation in chat.operations)):
                _check(name, apps, "app")
            for operation in chat.operations:
                _check(operation.kind, OPERATIONS, "operation")


def _check(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        raise ValueError(f"there is no {what} {name!r}; there are {', '.join(sorted(known))}")


def draw_schedule(seed: int) -> Schedule:
    """What the seed says happens. Each part has choices of its own, so that one more fault moves no operation."""
    from tests.simulation.fault_draws import draw_faults, draw_faults_of_fronts, draw_faults_of_stores

    draws = Draws(seed)
    apps = [_draw_app(number, draws.of("app", str(number))) for number in range(APPS)]
    apps = _draw_stores(apps, draws.of("stores"))
    chats = [_draw_chat(number, apps, draws.of("chat", str(number))) for number in range(CHATS)]
    faults = draw_faults(draws, NODES, [app.name for app in apps])
    faults += draw_faults_of_stores(draws, apps)
    fronts = current_fronts()
    faults += draw_faults_of_fronts(draws, NODES) if fronts else []
    faults.sort(key=lambda it: it.at_s)
    window = draws.of("window").choice((4, 16, 32))
    return Schedule(seed, NODES, apps, chats, faults, window=window, rotates=True, fronts=fronts)


def _draw_app(number: int, choices: random.Random) -> AppPlan:
    homes = choices.sample(range(NODES), choices.choice((1, 2, 3)))
    return AppPlan(f"app-{number}", [f"{node_name(home)}:{APP_PORT}" for home in homes])


def _draw_stores(apps: list[AppPlan], choices: random.Random) -> list[AppPlan]:
    if choices.random() >= STORES_SHARE:
        return apps
    return [replace(app, store=choices.random() < STORE_SHARE) for app in apps]


def _draw_chat(number: int, apps: list[AppPlan], choices: random.Random) -> ChatPlan:
    initiator, acceptor = choices.sample([app.name for app in apps], 2)
    begin_s = START_S + 4.0 + 60.0 * choices.random() ** 3
    plan = ChatPlan(number, begin_s, initiator, acceptor)
    at_s = begin_s + 2.0
    while at_s < START_S + ACTIVE_S:
        plan.operations.append(_draw_operation(at_s, choices.choice((initiator, acceptor)), choices))
        at_s += choices.choice((0.0, 0.02, 2.0, 20.0, 50.0, 80.0)) * (0.5 + choices.random())
    if choices.random() < 0.25:
        plan.operations.append(Operation(choices.uniform(begin_s + 5.0, START_S + ACTIVE_S), initiator, "delete"))
        plan.operations.sort(key=lambda operation: operation.at_s)
    return plan


def _draw_operation(at_s: float, by: str, choices: random.Random) -> Operation:
    if choices.random() < 0.06:
        return Operation(at_s, by, "rekey")
    return Operation(at_s, by, "send", choices.choice((1, 1, 1, 2, 5)), choices.choice((0, 10, 100, 1000)))
