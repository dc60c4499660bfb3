"""What can go wrong with the processes in front of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.fault_kinds import fault

if TYPE_CHECKING:
    from tests.simulation.fronts import SimFront
    from tests.simulation.schedule import Fault
    from tests.simulation.world import World

AGAIN_S: Final = 0.9
"""Between two deaths: one strikes what serves again, or what only starts, or the pause before."""
UNSERVED_S: Final = 15.0
"""What a node without its fronts is away at most, besides: until it is noticed, and the pauses before they start again."""


@fault
def kill_front(world: World, it: Fault) -> bool:
    """SIGKILL of a node's front, and of the next ones, `amount` times."""
    took = _kill(world, it)
    for again in range(1, int(it.amount)):
        world.after(again * AGAIN_S, _kill, world, it)
    world.away_for(it.amount * AGAIN_S + UNSERVED_S)
    return took


@fault
def pause_front(world: World, it: Fault) -> bool:
    """SIGSTOP of a node's front, and SIGCONT after `for_s`, unless its node has killed it by then."""
    front = _choose(world, it)
    if front is None or front.process.paused:
        return False
    world.machine(it.target).fronts.pause(front)
    world.after(it.for_s, world.loop.resume, front.process)
    world.away_for(UNSERVED_S)
    return True


def _kill(world: World, it: Fault) -> bool:
    front = _choose(world, it)
    if front is None:
        return False
    front.kill()
    return True


def _choose(world: World, it: Fault) -> SimFront | None:
    running = world.machine(it.target).fronts.running
    return world.draws.of("which front", f"{it.kind} {it.at_s}").choice(running) if running else None
