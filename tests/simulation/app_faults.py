"""Faults of apps that have a store: their processes die, once or again and again, and their stores come back older."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.fault_kinds import fault
from tests.simulation.schedule import Fault

if TYPE_CHECKING:
    from tests.simulation.apps import App
    from tests.simulation.world import World

LIVES_S: Final = (0.02, 0.3, 1.5, 4.0)
"""How long a start lasts that is followed by another: before it is connected, or after the other apps were asked."""
CRASH_PAUSE_S: Final = 0.2


@fault
def crash_app(world: World, it: Fault) -> bool:
    """SIGKILL of an app, and `amount` - 1 more as soon as it was started again, or shortly after."""
    app = world.apps[it.target]
    if not app.running:
        return False
    lives_s, at_s = world.draws.of("lives", f"{it.target} {it.at_s}"), it.for_s
    app.kill()
    for _ in range(1, int(it.amount)):
        world.after(at_s, world.start_app, app)
        at_s += lives_s.choice(LIVES_S)
        world.after(at_s, app.kill)
        at_s += CRASH_PAUSE_S
    world.after(at_s, world.start_app, app)
    return True


@fault
def kill_app_in_the_act(world: World, it: Fault) -> bool:
    """SIGKILL between two writes of its store's next commit."""
    app = world.apps[it.target]
    if not app.running or app.disk is None:
        return False
    app.disk.kill_at_write(int(it.amount))
    world.after(it.for_s, _start_again, world, app)
    return True


@fault
def cut_power_of_app(world: World, it: Fault) -> bool:
    """Its machine stops; of what its store had not synced only the share `amount` is there afterwards."""
    app = world.apps[it.target]
    if not app.running or app.disk is None:
        return False
    app.cut_power(it.amount)
    world.after(it.for_s, world.start_app, app)
    return True


@fault
def put_app_back(world: World, it: Fault) -> bool | Callable[[], bool]:
    """Its store is put back to what it was `for_s` ago (an older copy), and the app started on it."""
    app = world.apps[it.target]
    if not app.running or app.disk is None or not app.disk.keystores:
        return False
    image, before = app.disk.copy(), app.rollbacks
    world.after(it.for_s, app.put_back, image)
    return lambda: app.rollbacks > before


@fault
def lose_home_and_app(world: World, it: Fault) -> bool:
    """The node at which an app is at home is gone for good, with its volume, and the app is killed `amount` seconds later:
    while it waits for its home, or moves its chats.
    """
    app = world.apps[it.target]
    home = None if app.client is None else app.client.home
    machine = next((machine for machine in world.machines if machine.name == home), None)
    if machine is None or not machine.running:
        return False
    machine.kill()
    machine.volume.lose()
    world.after(it.amount, app.kill)
    world.after(it.amount + it.for_s, world.start_app, app)
    return True


def _start_again(world: World, app: App) -> None:
    app.end_act()
    world.start_app(app)
