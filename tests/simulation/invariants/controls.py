"""A control message counts once, in its place, and only when its sender sent it, whoever is in the middle."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.instruments import ControlPlace
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class ControlsCountAsSent(Invariant):
    """By the key of their direction, which two ends of one stream share and nobody else."""

    name = "control messages count as they were sent"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._sent: defaultdict[bytes, deque[ControlPlace]] = defaultdict(deque)

    def control_sent(self, key: bytes, place: ControlPlace) -> None:
        self._sent[key].append(place)

    def control_taken(self, process: Process | None, key: bytes, place: ControlPlace) -> None:
        sent = self._sent[key]
        if not sent or sent.popleft() != place:
            name = type(place.message).__name__
            self.violate(f"{process.name if process else 'somebody'} took a {name} that is not the next of its session")
