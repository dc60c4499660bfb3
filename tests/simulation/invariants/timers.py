"""Inputs that wait come before timers: what had arrived when a timer was due is handled before the timer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes_wire.late_timers import LATE_S
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process

SLACK_S: Final = 1e-3


class InputsBeforeTimers(Invariant):
    name = "inputs that wait come before timers"

    def timer_fires(self, process: Process, late_s: float) -> None:
        due_s = self.world.loop.time() - late_s
        for stream in self.world.network.streams_of(process.machine):
            pipe = stream.up if stream.server is process else stream.down
            if stream.carries_chats and pipe.oldest_arrival_s is not None and pipe.oldest_arrival_s < due_s - SLACK_S:
                self.violate(f"{process.name}: a timer fires {late_s:.3f} s late, and {stream} has what came before it was due")
        if late_s > LATE_S:
            self._look_at_sockets(process, late_s, due_s)

    def _look_at_sockets(self, process: Process, late_s: float, due_s: float) -> None:
        """After a pause gRPC's threads need a moment, which a timer that is late leaves them."""
        since_s = self.world.loop.waits_in_sockets_since(process)
        if since_s is not None and since_s < due_s - SLACK_S:
            self.violate(f"{process.name}: a timer fires {late_s:.3f} s late, and sockets have what came before it was due")
