"""What can go wrong in a world: each kind of fault is a function that does it and says whether it took effect."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.adversary import ABILITIES
from tests.simulation.draws import Draws
from tests.simulation.loop import START_S
from tests.simulation.schedule import ACTIVE_S, Fault
from tests.simulation.settings import node_name

if TYPE_CHECKING:
    from tests.simulation.world import World

Effect = Callable[["World", Fault], bool]
KINDS: dict[str, Effect] = {}
"""Every kind by its name; `fault` puts a function here."""

FIRST_S: Final = 3.0
LAST_S: Final = ACTIVE_S - 25.0
SHORT_S: Final = (0.05, 0.5, 2.0, 6.0)
NO_HANDSHAKE_S: Final = 1.0
"""Nodes that are that far apart do not come through their handshake in time: as good as cut."""

LONG_S: Final = (0.5, 3.0, 8.0, 15.0, 22.0, 60.0)


def fault(effect: Effect) -> Effect:
    KINDS[effect.__name__] = effect
    return effect


# processes


@fault
def kill(world: World, it: Fault) -> bool:
    """SIGKILL of a node, which is started again after `for_s`."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.kill()
    world.after(it.for_s, world.start_node, machine)
    return True


@fault
def kill_in_the_act(world: World, it: Fault) -> bool:
    """SIGKILL between two writes of the next commit."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.kill_at_write(int(it.amount))
    world.after(it.for_s, world.start_node, machine)
    return True


@fault
def cut_power(world: World, it: Fault) -> bool:
    """The machine stops; of what was not synced only the share `amount` is there afterwards."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.cut_power(it.amount)
    world.after(it.for_s, world.start_node, machine)
    return True


@fault
def pause(world: World, it: Fault) -> bool:
    """SIGSTOP of a node or an app, and SIGCONT after `for_s`."""
    process = world.process(it.target)
    if process is None or process.paused:
        return False
    world.loop.pause(process)
    world.after(it.for_s, world.loop.resume, process)
    world.longest_cut_s = max(world.longest_cut_s, it.for_s)
    return True


@fault
def drain(world: World, it: Fault) -> bool:
    """What Kubernetes does: SIGTERM, and a new process `for_s` later at the earliest."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.terminate()
    world.after(it.for_s, world.start_node, machine)
    return True


@fault
def mass_restart(world: World, it: Fault) -> bool:
    """Every node is killed at once; they come back one after the other."""
    running = [machine for machine in world.machines if machine.running]
    for number, machine in enumerate(running):
        machine.kill()
        world.after(0.2 + it.for_s * number / len(running), world.start_node, machine)
    return bool(running)


@fault
def kill_app(world: World, it: Fault) -> bool:
    """SIGKILL of a client: its keys are gone, its chats with them."""
    app = world.apps[it.target]
    if not app.running:
        return False
    app.kill()
    world.after(it.for_s, world.start_app, app)
    return True


@fault
def reconnect(world: World, it: Fault) -> bool:
    """The app breaks its stream off and comes back."""
    app = world.apps[it.target]
    if app.client is None or not app.client.connected:
        return False
    app.reconnect()
    return True


# the network


@fault
def cut(world: World, it: Fault) -> bool:
    """Nothing passes between two machines for `for_s`; what was under way comes late."""
    return world.cut([(it.target, it.other)], it.for_s)


@fault
def split(world: World, it: Fault) -> bool:
    """The nodes of `target` (joined by commas) are cut off from all other nodes."""
    here = set(it.target.split(","))
    there = {machine.name for machine in world.machines} - here
    return world.cut([(one, other) for one in sorted(here) for other in sorted(there)], it.for_s)


@fault
def lossy(world: World, it: Fault) -> bool:
    """The share `amount` of packets is lost on a link, and sent again by TCP."""
    link = world.network.link(it.target, it.other)
    link.loss = it.amount
    world.after(it.for_s, setattr, link, "loss", 0.0)
    return True


@fault
def slow(world: World, it: Fault) -> bool:
    """Up to `amount` seconds more on a link, so that streams overtake one another."""
    link = world.network.link(it.target, it.other)
    link.extra_delay_s = it.amount
    if it.amount >= NO_HANDSHAKE_S:
        world.longest_cut_s = max(world.longest_cut_s, it.for_s)
    world.after(it.for_s, setattr, link, "extra_delay_s", 0.0)
    return True


@fault
def reset(world: World, it: Fault) -> bool:
    """Every stream between two machines breaks; each side finds out by itself."""
    streams = world.network.streams_between(it.target, it.other)
    for stream in streams:
        stream.break_both()
    return bool(streams)


@fault
def half_open(world: World, it: Fault) -> bool:
    """The dialler's end is gone at once, the server hears of it `for_s` later."""
    streams = world.network.streams_between(it.target, it.other)
    for stream in streams:
        stream.half_open(it.for_s)
    return bool(streams)


@fault
def hostile_middle(world: World, it: Fault) -> bool:
    """Somebody between an app and a node does what `how` says to their messages; then the connection is cut."""
    link = world.network.link(it.target, it.other)
    link.middle = ABILITIES[it.how](world.draws.of("middle", f"{it.target} {it.other} {it.at_s}"))
    world.after(it.for_s, _end_middle, world, it)
    return True


def _end_middle(world: World, it: Fault) -> None:
    """Whoever was in the middle goes with the connection."""
    world.network.link(it.target, it.other).middle = None
    for stream in world.network.streams_between(it.target, it.other):
        stream.break_both()


# the disk


@fault
def fill_disk(world: World, it: Fault) -> bool:
    """Nothing can be written for `for_s`."""
    volume = world.machine(it.target).volume
    volume.full = True
    world.longest_cut_s = max(world.longest_cut_s, it.for_s)
    world.after(it.for_s, setattr, volume, "full", False)
    return True


@fault
def hang_disk(world: World, it: Fault) -> bool:
    """Nothing is written before `for_s` are over."""
    machine = world.machine(it.target)
    world.longest_cut_s = max(world.longest_cut_s, it.for_s)
    machine.disk_hangs_until_s = world.loop.time() + it.for_s
    return machine.running


@fault
def break_disk(world: World, it: Fault) -> bool:
    """Writes and syncs fail for `for_s`."""
    volume = world.machine(it.target).volume
    volume.broken = True
    world.longest_cut_s = max(world.longest_cut_s, it.for_s)
    world.after(it.for_s, setattr, volume, "broken", False)
    return True


@fault
def roll_back(world: World, it: Fault) -> bool:
    """The volume is put back to what it was `for_s` ago (an older snapshot), and the node started on it."""
    machine = world.machine(it.target)
    image = machine.volume.snapshot()
    if not machine.running or not image.files:
        return False
    world.after(it.for_s, machine.roll_back, image)
    return True


@fault
def roll_back_unseen(world: World, it: Fault) -> bool:
    """The same, while no other node hears this one: what it sent to them since then is lost, so that they cannot notice."""
    machine = world.machine(it.target)
    image = machine.volume.snapshot()
    pairs = [(machine.name, other.name) for other in world.machines if other is not machine]
    if not machine.running or not image.files or not world.cut(pairs, it.for_s + 0.5):
        return False
    world.after(it.for_s, machine.roll_back, image)
    return True


@fault
def lose_volume(world: World, it: Fault) -> bool:
    """The node comes back without anything it had."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.kill()
    machine.volume.lose()
    world.after(it.for_s, world.start_node, machine)
    return True


# the clock


@fault
def set_clock(world: World, it: Fault) -> bool:
    """The wall clock is off by `amount` seconds from now on; a node sees it at its next start, which is now."""
    machine = world.machine(it.target)
    machine.wall_offset_s = it.amount
    if machine.running:
        machine.kill()
        world.after(it.for_s, world.start_node, machine)
    return True


# drawing

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
}


def draw_faults(draws: Draws, nodes: int, apps: list[str]) -> list[Fault]:
    """None in one world of ten, otherwise one to nine."""
    how_many = draws.of("faults").choice((0, 1, 2, 3, 3, 4, 5, 6, 7, 9))
    faults = [_draw(draws.of("fault", str(number)), nodes, apps) for number in range(how_many)]
    return sorted(faults, key=lambda it: it.at_s)


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
        other = app
    for_s = short_s if kind in {"kill_app", "reconnect", "set_clock", "mass_restart"} else long_s
    amounts = _AMOUNTS.get(kind, (0.0,))
    how = choices.choice(sorted(ABILITIES)) if kind == "hostile_middle" else ""
    return Fault(at_s, kind, target, other, for_s, choices.choice(amounts), how)
