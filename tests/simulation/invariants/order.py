"""Positions of a hop are opened one after the other: whoever follows a gap works for whoever forges one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_core.ids import ChannelKind
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process


class HopsKeepTheOrder(Invariant):
    name = "hops open every position"

    def opened(self, process: Process | None, kind: int, missing: int) -> None:
        if missing and kind != ChannelKind.END_TO_END and process is not None:
            self.violate(f"{process.name} opened a frame of a hop and left {missing} positions out")
