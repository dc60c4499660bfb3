"""Faults after which a node is an older copy of itself, once or at every opening; and openings close on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.fault_kinds import fault
from tests.simulation.schedule import Fault

if TYPE_CHECKING:
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
    machine = world.machine(it.target)
    image = machine.volume.snapshot()
    if not machine.running or not image.files:
        return False
    before = machine.rollbacks
    world.after(it.for_s, machine.roll_back, image)
    return lambda: machine.rollbacks > before


@fault
def roll_back_unseen(world: World, it: Fault) -> bool | Callable[[], bool]:
    """The same, while no other node hears this one: what it sent to them since then is lost, so that they cannot notice."""
    machine = world.machine(it.target)
    image = machine.volume.snapshot()
    pairs = [(machine.name, other.name) for other in world.machines if other is not machine]
    if not machine.running or not image.files or not world.cut(pairs, it.for_s + 0.5):
        return False
    before = machine.rollbacks
    world.after(it.for_s, machine.roll_back, image)
    return lambda: machine.rollbacks > before


@fault
def roll_back_again(world: World, it: Fault) -> bool | Callable[[], bool]:
    """As `roll_back`, `amount` times with the same image: each copy is opened, and most live long enough to tell others."""
    machine = world.machine(it.target)
    image = machine.volume.snapshot()
    if not machine.running or not image.files:
        return False
    before, lives_s = machine.rollbacks, world.draws.of("lives", f"{it.target} {it.at_s}")
    at_s = it.for_s
    for _ in range(int(it.amount)):
        world.after(at_s, machine.roll_back, image)
        at_s += lives_s.choice(LIVES_S)
    return lambda: machine.rollbacks > before


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
    pairs = [(machine.name, other.name) for other in world.machines if other is not machine]
    if not machine.running or not world.cut(pairs, 2 * ALONE_S + 1.0):
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
