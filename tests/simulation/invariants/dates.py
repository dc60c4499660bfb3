"""What a clock that is wrong must not do: end what is not over, or keep keys in use whose age it hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.errors import KeystoreError
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.tables import Table
from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay.events import ChatErased
from hermes_node.keystore.last_seen import read_last_seen
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_core.relay.output import NodeOutput
    from hermes_keystore import Keystore
    from tests.simulation.ledger import ChatEntry
    from tests.simulation.loop import Process
    from tests.simulation.world import World

Keys = dict[bytes, tuple[bytes, bytes]]
"""By chat id the transcript hashes of the epochs that its two hops use; empty before the first."""


class NothingEndsEarly(Invariant):
    """By the world's own time, of which no node knows more than its clock tells it."""

    name = "no chat is over before its time, whatever clocks say"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._began: dict[tuple[str, bytes], float] = {}

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        for table, key in puts:
            if table is Table.CHAT:
                self._began.setdefault((process.machine, key), self.world.loop.time())

    def decided(self, process: Process, output: NodeOutput) -> None:
        for event in output.events:
            if type(event) is ChatErased and event.reason is CloseReason.EXPIRED and event.was_open:
                now = self.world.loop.time()
                idle_s = now - self._began.get((process.machine, event.chat_id), now)
                if idle_s < self.world.machine(process.machine).idle_timeout_s:
                    number = self.world.chat_number(event.chat_id)
                    self.violate(f"{process.name} ends chat {number} as idle, which has been there for {idle_s:.0f} s")


class UnknownAgesAreRenewed(Invariant):
    """A clock that is earlier than the last time seen, or far later, does not say how old keys are: all of them are renewed."""

    name = "keys of unknown age are renewed"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._found: dict[str, Keys] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        seen, wall_s = read_last_seen(keystore), self.world.machine(process.machine).read_clock()
        if seen is None:
            return
        left_s = max(0.0, UNCONFIRMED_TIME_S - seen.unconfirmed_s) + CLOCK_TOLERANCE_S
        if not seen.date_s - CLOCK_TOLERANCE_S <= wall_s <= seen.date_s + left_s:
            self._found[process.name] = _read(keystore)

    def at_rest(self) -> None:
        if self.world.happened(
            "lose_volume", "lose_node", "lose_home_and_app", "cut_log"
        ):  # chats of a node that is another one by now
            return
        alive = {bytes(entry.chat_id): entry for entry in self.world.ledger.chats.values() if len(entry.handles) == 2}
        for machine in self.world.machines:
            if machine.process is not None and machine.process.name in self._found and machine.keystores:
                try:
                    now = _read(machine.keystores[-1])
                except KeystoreError:  # told elsewhere
                    continue
                for chat_id, former in self._found[machine.process.name].items():
                    used = [old for old, new in zip(former, now.get(chat_id, ()), strict=False) if old and old == new]
                    if used and chat_id in alive and self._is_home_of(machine.name, alive[chat_id]):
                        number = self.world.chat_number(chat_id)
                        self.violate(f"{machine.name} started with a clock in doubt, and chat {number} has the keys of before")

    def _is_home_of(self, node: str, entry: ChatEntry) -> bool:
        """A former home of both apps uses none of the keys that it still has."""
        homes = [app.client.home for app in self.world.apps.values() if app.client is not None and app.app_id in entry.apps]
        return node in homes


def _read(keystore: Keystore) -> Keys:
    keys: Keys = {}
    for chat_id, value in keystore.load(Table.CHAT):
        record = parse_chat_record(value)
        first, second = (b"" if side.current is None else side.current.transcript_hash for side in record.sides)
        keys[chat_id] = (first, second)
        record.wipe()
    return keys
