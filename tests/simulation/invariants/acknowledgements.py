"""What is acknowledged was taken: an app hears that its message arrived only once the other one has it in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_core.endpoint.events import MessagesAcked
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_core.endpoint.output import AppOutput
    from tests.simulation.loop import Process


class AcknowledgedMeansTaken(Invariant):
    name = "what is acknowledged was taken"

    def app_decided(self, process: Process, output: AppOutput) -> None:
        for event in output.events:
            if isinstance(event, MessagesAcked):
                self._look(process, event)

    def _look(self, process: Process, event: MessagesAcked) -> None:
        entry = self.world.ledger.chats[event.chat_id]
        peer = entry.peer_of(self.world.apps[process.machine].app_id)
        taken = entry.received.get(peer, 0)
        entry.acknowledged[peer] = max(entry.acknowledged.get(peer, 0), event.seq)
        if event.seq > taken and not entry.put_back:  # what a store has forgotten counts as acknowledged
            chat = entry.plan.number
            self.violate(f"chat {chat}: {process.name} hears that {event.seq} arrived, and {taken} were taken")
