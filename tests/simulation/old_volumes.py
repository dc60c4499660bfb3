"""Faults after which a node is an older copy of itself, once or at every opening; and openings close on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.fault_kinds import fault
from tests.simulation.schedule import Fault

if TYPE_CHECKING:
    from tests.simulation.machines import Machine
    from tests.simulation.world import World

LIVES_S: Final = (0.02, 0.3, 1.5, 4.0, 9.0)
"""How long a start lasts that is followed by another: before it serves, or after apps and nodes have its mark."""
CRASH_PAUSE_S: Final = 0.2
ALONE_S: Final = 18.0
"""Longer than a node waits for others at its start, and long enough that it has kept the time since."""

ROLLBACKS: Final = ("roll_back", "roll_back_unseen", "roll_back_again", "cut_log")
"""Those after which a node is an older copy of itself."""


@fault
def roll_back(world: World, it: Fault) -> bool | Callable[[], bool]:
    """The volume is put back to what it was `for_s` ago (an older snapshot), and the node started on it."""
    return _put_back(world, it, [it.for_s])


@fault
def roll_back_unseen(world: World, it: Fault) -> bool | Callable[[], bool]:
    """The same, while no other node hears this one: what it sent to them since then is lost, so that they cannot notice."""
    return _put_back(world, it, [it.for_s], unseen_s=it.for_s + 0.5)


@fault
def roll_back_again(world: World, it: Fault) -> bool | Callable[[], bool]:
    """As `roll_back`, `amount` times with the same image: each copy is opened, and most live long enough to tell others."""
    lives_s = world.draws.of("lives", f"{it.target} {it.at_s}")
    times_s = [it.for_s]
    for _ in range(1, int(it.amount)):
        times_s.append(times_s[-1] + lives_s.choice(LIVES_S))
    return _put_back(world, it, times_s)


@fault
def crash_loop(world: World, it: Fault) -> bool:
    """SIGKILL, and `amount` more as soon as it was started again, or shortly after: each opening is one of its own."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    lives_s, at_s = world.draws.of("lives", f"{it.target} {it.at_s}"), 0.0
    machine.kill()
    for _ in range(int(it.amount)):
        at_s += CRASH_PAUSE_S
        world.after(at_s, world.start_node, machine)
        at_s += lives_s.choice(LIVES_S)
        world.after(at_s, machine.kill)
    world.after(at_s + CRASH_PAUSE_S, world.start_node, machine)
    return True


@fault
def wrong_clock_alone(world: World, it: Fault) -> bool:
    """The clock is ahead by `amount`, no other node is reached, and it starts twice: nobody confirms what that counts."""
    machine = world.machine(it.target)
    if not machine.running or not _cut_off(world, machine, 2 * ALONE_S + 1.0):
        return False
    machine.wall_offset_s = it.amount
    machine.kill()
    world.after(CRASH_PAUSE_S, world.start_node, machine)
    world.after(ALONE_S, machine.kill)
    world.after(ALONE_S + CRASH_PAUSE_S, world.start_node, machine)
    return True


@fault
def cut_log(world: World, it: Fault) -> bool:
    """SIGKILL, and the log is cut between two commits: the share `amount` of them stays, and SQLite takes them for all."""
    machine = world.machine(it.target)
    if not machine.running:
        return False
    world.after(it.for_s, world.start_node, machine)
    return machine.cut_log(it.amount)


def _put_back(world: World, it: Fault, times_s: list[float], *, unseen_s: float | None = None) -> bool | Callable[[], bool]:
    """What the volume is now comes back at each of these times, from now on. `unseen_s`: so long no other node is reached."""
    machine = world.machine(it.target)
    image, before = machine.volume.snapshot(), machine.rollbacks
    if not machine.running or not image.files:
        return False
    if unseen_s is not None and not _cut_off(world, machine, unseen_s):
        return False
    for at_s in times_s:
        world.after(at_s, machine.roll_back, image)
    return lambda: machine.rollbacks > before


def _cut_off(world: World, machine: Machine, for_s: float) -> bool:
    """No other node reaches it."""
    return world.cut([(machine.name, other.name) for other in world.machines if other is not machine], for_s)
