"""A node goes on from the last time it has seen: a clock that is wrong at its start takes it neither back nor far ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S
from hermes_node.keystore.last_seen import LAST_SEEN, read_last_seen
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_node.keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.world import World

SLACK_S = 1.0
"""Times are kept in whole seconds."""


class TimeGoesOn(Invariant):
    name = "a node goes on from the last time it has seen"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._found: dict[str, float] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        found = read_last_seen(keystore)
        if found is not None:
            self._found[process.name] = found.date_s

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        if LAST_SEEN not in puts or process.name not in self._found:
            return
        found, kept = self._found[process.name], int.from_bytes(puts[LAST_SEEN], "big")
        ran_s = self.world.loop.time() - process.started_s
        if not -CLOCK_TOLERANCE_S - SLACK_S <= kept - found <= UNCONFIRMED_TIME_S + ran_s + SLACK_S:
            self.violate(f"{process.name} goes on {kept - found:.0f} s after the last time that it has seen")
