"""Every kind of fault by its name: where a function that does one is put, and where a schedule finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.schedule import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World

Inflict = Callable[["World", Fault], bool | Callable[[], bool]]
KINDS: dict[str, Inflict] = {}
"""Every kind by its name; `fault` puts a function here. Its result says whether it took effect, or can be asked later."""

AWAY: Final = (
    *("kill", "kill_in_the_act", "crash_loop", "cut_power", "drain", "mass_restart", "set_clock", "wrong_clock"),
    *("wrong_clock_alone", "lose_volume", "lose_node", "lose_home_and_app", "hostile_middle", "cut", "cut_pair", "split"),
    *("fill_disk", "break_disk", "hang_disk", "kill_front", "pause_front"),
)
"""Those by which a node cannot be reached for a while, or for good."""


def fault(inflict: Inflict) -> Inflict:
    KINDS[inflict.__name__] = inflict
    return inflict
