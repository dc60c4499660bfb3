"""What can go wrong in a world: each kind of fault is a function that does it and says whether it took effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation import app_faults, front_faults  # noqa: F401 - their faults are kinds as well
from tests.simulation.adversary import ABILITIES
from tests.simulation.fault_kinds import KINDS, fault
from tests.simulation.old_volumes import ROLLBACKS
from tests.simulation.schedule import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["KINDS", "ROLLBACKS", "fault"]

NO_HANDSHAKE_S: Final = 1.0
"""Nodes that are that far apart do not come through their handshake in time: as good as cut."""


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
    world.away_for(it.for_s)
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
    """SIGKILL of a client: without a store its keys are gone, its chats with them."""
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
def cut_pair(world: World, it: Fault) -> bool:
    """Two nodes do not reach each other, and all others both, for long enough that their chats must go through a third one."""
    took = world.cut([(it.target, it.other)], it.for_s)
    if took:
        world.hooks.pair_cut(it)
    return took


@fault
def split(world: World, it: Fault) -> bool:
    """The nodes of `target` (joined by commas) are cut off from all other nodes."""
    here = set(it.target.split(","))
    there = {machine.name for machine in world.machines} - here
    return world.cut([(one, other) for one in sorted(here) for other in sorted(there)], it.for_s)


@fault
def lossy(world: World, it: Fault) -> Callable[[], bool]:
    """The share `amount` of packets is lost on a link, and sent again by TCP."""
    link = world.network.link(it.target, it.other)
    link.loss = it.amount
    before = link.lost
    world.after(it.for_s, setattr, link, "loss", 0.0)
    return lambda: link.lost > before


@fault
def slow(world: World, it: Fault) -> Callable[[], bool]:
    """Up to `amount` seconds more on a link, so that streams overtake one another."""
    link = world.network.link(it.target, it.other)
    link.extra_delay_s = it.amount
    if it.amount >= NO_HANDSHAKE_S:
        world.away_for(it.for_s)
    before = link.slowed
    world.after(it.for_s, setattr, link, "extra_delay_s", 0.0)
    return lambda: link.slowed > before


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
def hostile_middle(world: World, it: Fault) -> Callable[[], bool]:
    """Somebody who ends TLS between an app and a node, or two nodes, does what `how` says to their messages until it is cut;
    without an `other`, between `target` and everybody, whose connections are made anew through it.
    """
    others = [it.other] if it.other else sorted({*world.apps, *(machine.name for machine in world.machines)} - {it.target})
    links = [world.network.link(it.target, other) for other in others]
    middle = ABILITIES[it.how](world.draws.of("middle", f"{it.target} {it.other} {it.at_s}"))
    before = sum(link.changed for link in links)
    for link in links:
        link.middle = middle
    if not it.other:
        world.away_for(it.for_s)
        _break_streams(world, it.target, others)
    world.after(it.for_s, _end_middle, world, it.target, others)
    return lambda: sum(link.changed for link in links) > before


def _end_middle(world: World, target: str, others: list[str]) -> None:
    """Whoever was in the middle goes with the connection."""
    for other in others:
        world.network.link(target, other).middle = None
    _break_streams(world, target, others)


def _break_streams(world: World, target: str, others: list[str]) -> None:
    for other in others:
        for stream in world.network.streams_between(target, other):
            stream.break_both()


# the disk


@fault
def fill_disk(world: World, it: Fault) -> bool:
    """Nothing can be written for `for_s`."""
    volume = world.machine(it.target).volume
    volume.full = True
    world.away_for(it.for_s)
    world.after(it.for_s, setattr, volume, "full", False)
    return True


@fault
def hang_disk(world: World, it: Fault) -> bool:
    """Nothing is written before `for_s` are over."""
    machine = world.machine(it.target)
    world.away_for(it.for_s)
    machine.disk_hangs_until_s = world.loop.time() + it.for_s
    return machine.running


@fault
def slow_disk(world: World, it: Fault) -> bool:
    """Every commit takes `amount` seconds longer for `for_s`."""
    machine = world.machine(it.target)
    machine.disk_slower_s = it.amount
    world.after(it.for_s, setattr, machine, "disk_slower_s", 0.0)
    return machine.running


@fault
def break_disk(world: World, it: Fault) -> bool:
    """Writes and syncs fail for `for_s`."""
    volume = world.machine(it.target).volume
    volume.broken = True
    world.away_for(it.for_s)
    world.after(it.for_s, setattr, volume, "broken", False)
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


@fault
def lose_node(world: World, it: Fault) -> bool:
    """The node is gone for good, with its volume: until all is healed, and another one has its name, its apps are elsewhere."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    machine.kill()
    machine.volume.lose()
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


@fault
def wrong_clock(world: World, it: Fault) -> bool:
    """As `set_clock`, by so much that every chat would be over, or none ever."""
    return bool(set_clock(world, it))
