"""Inputs that wait come before timers: what had arrived when a timer was due is handled before the timer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
