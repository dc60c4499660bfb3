"""No chat goes on before a node has heard whether somebody saw a later state of its keystore, or has waited long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_core.protocol.messages import Resume
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_core.relay.output import NodeOutput
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class ResumesWait(Invariant):
    name = "no chat goes on before its node's opening is judged"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._released: set[str] = set()

    def chats_released(self, process: Process) -> None:
        self._released.add(process.name)

    def decided(self, process: Process, output: NodeOutput) -> None:
        if process.name not in self._released and any(type(send.message) is Resume for send in output.sends):
            self.violate(f"{process.name} resumes a chat, and still waits to hear how old its keystore is")
