"""Nothing remains of what ended, and nothing piles up: records, chats and streams of a node are those that live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_core.keystore.tables import Table
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.machines import Machine


class NothingRemains(Invariant):
    name = "nothing remains of what ended"

    def at_rest(self) -> None:
        alive = {entry.chat_id for entry in self.world.ledger.chats.values() if entry.handles}
        for machine in self.world.machines:
            if machine.running and machine.keystores:
                self._look(machine, {bytes(chat_id) for chat_id in alive})

    def _look(self, machine: Machine, alive: set[bytes]) -> None:
        records = {key for key, _ in machine.keystores[-1].load(Table.CHAT)}
        for chat_id in sorted(records - alive):
            if not self.world.was_orphaned(chat_id):
                self.violate(f"{machine.name} keeps the record of chat {self.world.chat_number(chat_id)}, which has ended")
