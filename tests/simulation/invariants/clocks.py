"""A node goes on from the last time it has seen: a clock that is wrong at its start takes it neither back nor far ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S
from hermes_node.keystore.last_seen import LAST_SEEN, read_last_seen
from tests.simulation.invariants.base import Invariant
from tests.simulation.loop import EPOCH_S

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.world import World

SLACK_S = 1.0
"""Times are kept in whole seconds."""
TOO_FEW_TO_CONFIRM = 2
"""Machines whose clocks are ahead: the one in question and another, which three that are compared outvote."""


class TimeGoesOn(Invariant):
    """At each start, and over all of them: what nobody confirms counts up to the bound once, and by as much as time went on."""

    name = "a node goes on from the last time it has seen"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._found: dict[str, float] = {}
        self._new: set[str] = set()
        self._ahead: dict[str, float] = {}
        """By machine: how far its date may be ahead of the world's time, at the world's beginning."""

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        found = read_last_seen(keystore)
        if found is not None:
            self._found[process.name] = found.date_s

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        if LAST_SEEN not in puts:
            return
        kept, now = int.from_bytes(puts[LAST_SEEN], "big"), self.world.loop.time()
        if process.name not in self._found:  # a new keystore believes its clock, until others say better
            self._new.add(process.name)
            self._ahead[process.machine] = max(self._ahead.get(process.machine, 0.0), kept - EPOCH_S - now)
            self._found[process.name] = kept
        found, ran_s = self._found[process.name], now - process.started_s
        back = kept - found < -CLOCK_TOLERANCE_S - SLACK_S and process.name not in self._new
        if back or kept - found > UNCONFIRMED_TIME_S + ran_s + SLACK_S:
            self.violate(f"{process.name} goes on {kept - found:.0f} s after the last time that it has seen")
        ahead_s = kept - EPOCH_S - now - self._ahead.get(process.machine, 0.0)
        wrong = sum(machine.wall_offset_s > CLOCK_TOLERANCE_S for machine in self.world.machines)
        if wrong <= TOO_FEW_TO_CONFIRM and ahead_s > UNCONFIRMED_TIME_S + now + SLACK_S:
            self.violate(f"{process.name} has counted {ahead_s:.0f} s that never passed, over all its starts")
