"""Apps with a store: nothing of theirs leaves before its commit, and both apps hear of a store that was put back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from hermes_core.keystore.app_notice_codec import encode_app_ended
from hermes_core.keystore.app_record_codec import encode_app_chat, encode_outgoing, outgoing_key
from hermes_core.keystore.tables import Table
from tests.simulation.invariants.base import Invariant
from tests.simulation.ledger import PUT_BACK

if TYPE_CHECKING:
    from hermes_core.endpoint.kept import KeptChanges
    from hermes_core.endpoint.output import AppOutput
    from hermes_keystore import Keystore
    from tests.simulation.ledger import ChatEntry
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World

Rows = dict[tuple[Table, bytes], int | None]
"""Hashes of values by their place; None: there is none any more."""
GONE = None


class Awaited(NamedTuple):
    """A message, and the number of the output that must be durable before it leaves."""

    message: Any
    after: int


class AppDiskAheadOfWire(Invariant):
    name = "nothing leaves an app before its commit"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._decided: dict[str, int] = {}
        self._durable: dict[str, int] = {}
        self._open: dict[str, deque[Rows]] = {}
        self._sends: dict[str, deque[Awaited]] = {}

    def app_store_opened(self, process: Process, keystore: Keystore) -> None:
        self._decided[process.name] = self._durable[process.name] = 0
        self._open[process.name], self._sends[process.name] = deque(), deque()

    def app_connected(self, process: Process) -> None:
        if process.name in self._sends:
            self._sends[process.name].clear()

    def app_decided(self, process: Process, output: AppOutput) -> None:
        if process.name not in self._open:
            return
        if output.changes is not None:
            self._decided[process.name] += 1
            self._open[process.name].append(_rows_of(output.changes))
        after = self._decided[process.name]
        self._sends[process.name].extend(Awaited(message, after) for message in output.sends)

    def app_committed(self, process: Process, puts: Any, deletes: Any) -> None:
        """Which outputs it holds: those, from the oldest on, that together come to these rows."""
        waiting = self._open.get(process.name)
        rows: Rows = dict.fromkeys(deletes, GONE) | {place: hash(bytes(value)) for place, value in puts.items()}
        merged: Rows = {}
        covered = 0
        for number, output in enumerate(waiting or (), start=1):
            merged |= output
            if merged == rows:
                covered = number
        for _ in range(covered):
            self._open[process.name].popleft()
            self._durable[process.name] += 1

    def app_wrote(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        sends = self._sends.get(process.name)
        if sends is None:
            return
        for message in messages:
            found = next((send for send in sends if send.message == message), None)
            if found is None:
                continue  # of the session
            while sends.popleft() is not found:
                pass
            if found.after > self._durable[process.name]:
                late = found.after - self._durable[process.name]
                self.violate(f"{process.name} wrote {type(message).__name__}, which waits for {late} outputs")


def _rows_of(changes: KeptChanges) -> Rows:
    rows: Rows = {(Table.APP_CHAT, bytes(chat_id)): GONE for chat_id in changes.ended}
    rows |= {(Table.APP_ENDED, bytes(chat_id)): GONE for chat_id in changes.told}
    rows |= {(Table.APP_ENDED, bytes(chat_id)): hash(encode_app_ended(record)) for chat_id, record in changes.owed.items()}
    rows |= {(Table.APP_OUTGOING, outgoing_key(*key)): GONE for key in changes.acknowledged}
    for chat_id, record in changes.chats.items():
        rows[Table.APP_CHAT, bytes(chat_id)] = hash(bytes(encode_app_chat(record)))
    for key, message in changes.messages.items():
        rows[Table.APP_OUTGOING, outgoing_key(*key)] = hash(encode_outgoing(message))
    return rows


class StoresTellTheTruth(Invariant):
    """What an app hears without a cause, the ledger finds (tests/simulation/ledger.py)."""

    name = PUT_BACK

    def at_rest(self) -> None:
        for entry in self.world.ledger.live():
            for forgotten in entry.put_back:
                if any(last >= first for first, last in (forgotten.sent, forgotten.received)):
                    self._look(entry, forgotten)

    def _look(self, entry: ChatEntry, forgotten: Any) -> None:
        for app_id in entry.apps:
            losses = entry.losses.get(app_id, [])
            if not any(forgotten.is_in(error, app_id) for error in losses):
                who, told = self.world.app_name(app_id), "; ".join(map(str, losses)) or "nothing"
                self.violate(
                    f"chat {entry.plan.number}: {who} heard {told} of {forgotten.sent} and {forgotten.received}, which "
                    f"the store of {self.world.app_name(forgotten.by)} has forgotten"
                )


class NothingRemainsInStores(Invariant):
    name = "nothing remains of what ended"

    def at_rest(self) -> None:
        for app in self.world.apps.values():
            if app.disk is None or not app.disk.keystores:
                continue
            kept = {key for key, _ in app.disk.keystores[-1].load(Table.APP_CHAT)}
            alive = {bytes(entry.chat_id) for entry in self.world.ledger.chats.values() if app.app_id in entry.handles}
            for chat_id in kept ^ alive:
                what = "keeps" if chat_id in kept else "does not keep"
                self.violate(f"{app.name} {what} chat {self.world.chat_number(chat_id)}")
