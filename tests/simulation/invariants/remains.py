"""Nothing remains of what ended, and nothing piles up: records, notices, chats and streams are those that live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hermes_core.errors import KeystoreError
from hermes_core.keystore.tables import Table
from hermes_core.keystore.tombstone_codec import parse_tombstone
from hermes_node.lifecycle.steps import Serving
from tests.simulation.fault_kinds import AWAY
from tests.simulation.invariants.base import Invariant
from tests.simulation.old_volumes import ROLLBACKS

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.ledger import ChatEntry
    from tests.simulation.machines import Machine


class NothingRemains(Invariant):
    name = "nothing remains of what ended"

    def waits(self) -> bool:
        """A Delete that met a home which was away or rolled back: the other app's home appeals to it after a minute or two."""
        return self.world.happened(*AWAY, *ROLLBACKS) and any(entry.ends and entry.handles for entry in self._entries)

    @property
    def _entries(self) -> Iterable[ChatEntry]:
        return self.world.ledger.chats.values()

    def at_rest(self) -> None:
        entries = self._entries
        for entry in entries:
            if entry.ends and entry.handles:
                held = ", ".join(self.world.app_name(app_id) for app_id in entry.handles)
                self.violate(f"chat {entry.plan.number} has ended, and {held} was not told")
        alive = {bytes(entry.chat_id) for entry in entries if entry.handles}
        for machine in self.world.machines:
            if machine.running and machine.keystores:
                self._look(machine, machine.keystores[-1], alive)

    def _look(self, machine: Machine, keystore: Keystore, alive: set[bytes]) -> None:
        try:
            self._look_at_records(machine, keystore, alive)
            self._look_at_notices(machine, keystore)
        except KeystoreError as error:
            self.violate(f"{machine.name} runs, and its keystore cannot be read: {error}")
        self._look_at_streams(machine)

    def _look_at_records(self, machine: Machine, keystore: Keystore, alive: set[bytes]) -> None:
        records = {key for key, _ in keystore.load(Table.CHAT)}
        for chat_id in sorted(records - alive):
            if not self.world.was_orphaned(chat_id):
                self.violate(f"{machine.name} keeps the record of chat {self.world.chat_number(chat_id)}, which has ended")

    def _look_at_notices(self, machine: Machine, keystore: Keystore) -> None:
        """Those for nodes, which are all there; an app may have its home elsewhere now.

        A node that lost its volume is another one under an old name, which its peers do not let in for a while.
        """
        if self.world.happened("lose_volume", "lose_node", "lose_home_and_app"):
            return
        for _, value in keystore.load(Table.TOMBSTONE):
            for notice in parse_tombstone(value).notices:
                if notice.node_id is not None:
                    self.violate(f"{machine.name} keeps a notice for {notice.node_id}, which is there")

    def _look_at_streams(self, machine: Machine) -> None:
        """Chats go through a third node for a minute longer than two do not reach each other, in a stream within a Carry."""
        node, standing = machine.node, self.world.network.streams_of(machine.name)
        if node is not None and isinstance(node._step, Serving):
            sinks = len(node._step.chats.streams._sinks)
            streams = sum(stream.carries_chats or stream.path.endswith("/Carry") for stream in standing)
            if sinks > streams:
                self.violate(f"{machine.name} keeps {sinks} streams, and {streams} stand")
