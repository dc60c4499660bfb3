"""Inputs that wait come before timers, and timers come: at the latest with the commits that were under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes_node.mesh.joining import NEWCOMER_S
from hermes_wire.late_timers import LATE_S
from tests.simulation.invariants.base import Invariant
from tests.simulation.loop import START_S

if TYPE_CHECKING:
    from tests.simulation.loop import Process

SLACK_S: Final = 1e-3


IN_TIME_S: Final = 1.0
"""A timer's way through a process that runs, with a disk that answers: two commits and what a late one leaves to inputs."""

COMMITS: Final = 6
"""One under way, one that was early, one of the inputs that wait, and between them marks, names of witnesses, the floor."""

STARTED_S: Final = 5.0
"""Until a node that starts has opened, restored and serves; what was due before comes then."""

OF_THE_CLOCK: Final = ("wrong_clock", "wrong_clock_alone")
"""What is due by the date comes once the others have told it, and may have been due long before."""

STAND_STILL: Final = ("pause", "hang_disk", "fill_disk", "break_disk")


class TimersCome(Invariant):
    name = "timers come in time"

    def timer_fires(self, process: Process, late_s: float) -> None:
        late_s = min(late_s, self.world.loop.time() - process.started_s - STARTED_S)
        if late_s > IN_TIME_S and late_s > IN_TIME_S + self._excused_s(process, late_s):
            self.violate(f"{process.name}: a timer fires {late_s:.3f} s late")

    def at_rest(self) -> None:
        for machine in self.world.machines:
            if machine.overdue_s > IN_TIME_S:
                self.violate(f"{machine.name}: a timer that was due {machine.overdue_s:.3f} s ago has not come")

    def _excused_s(self, process: Process, late_s: float) -> float:
        """How long, since the timer was due, the process stood still, its disk hung or took longer."""
        excused_s, due_s = 0.0, self.world.loop.time() - START_S - late_s
        for effect in self.world.report.effects:
            fault = effect.fault
            if fault.target != process.machine:
                continue
            end_s = effect.at_s + fault.for_s
            if fault.kind in STAND_STILL and end_s > due_s:
                excused_s += end_s - max(due_s, effect.at_s)
            elif fault.kind in OF_THE_CLOCK:
                excused_s += late_s
            elif fault.kind == "slow_disk" and end_s + COMMITS * fault.amount > due_s:
                excused_s += COMMITS * fault.amount
        return excused_s


class InputsBeforeTimers(Invariant):
    name = "inputs that wait come before timers"

    def timer_fires(self, process: Process, late_s: float) -> None:
        due_s = self.world.loop.time() - late_s
        for stream in self.world.network.streams_of(process.machine):
            if process not in (stream.server, stream.dialler):
                continue  # a front's, which passes on what it reads
            pipe = stream.up if stream.server is process else stream.down
            if self.world.carried.is_third(stream, process):
                continue  # what it carries waits for the other end
            if stream.server is process and self.world.loop.time() - process.started_s < STARTED_S + NEWCOMER_S:
                continue  # a newcomer reads none but Join before it has asked its seeds
            if stream.carries_chats and pipe.oldest_arrival_s is not None and pipe.oldest_arrival_s < due_s - SLACK_S:
                self.violate(f"{process.name}: a timer fires {late_s:.3f} s late, and {stream} has what came before it was due")
        if late_s > LATE_S:
            self._look_at_sockets(process, late_s, due_s)

    def _look_at_sockets(self, process: Process, late_s: float, due_s: float) -> None:
        """After a pause gRPC's threads need a moment, which a timer that is late leaves them."""
        since_s = self.world.loop.waits_in_sockets_since(process)
        if since_s is not None and since_s < due_s - SLACK_S:
            self.violate(f"{process.name}: a timer fires {late_s:.3f} s late, and sockets have what came before it was due")
