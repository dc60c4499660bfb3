"""What was committed is kept: a keystore holds at rest what it held when it was opened and what was committed since.

Rotations go on meanwhile, which change every row and no record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.errors import KeystoreError
from hermes_core.keystore.tables import Table
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.world import World

Content = dict[tuple[Table, bytes], int]
"""Hashes of values; a keystore's own history is its own."""


class CommittedIsKept(Invariant):
    name = "what was committed is kept"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._known: dict[str, Content] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        self._known[process.machine] = _read(keystore)

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        known = self._known[process.machine]
        for place in deletes:
            known.pop(place, None)
        known.update({place: hash(bytes(value)) for place, value in puts.items() if place[0] is not Table.HISTORY})

    app_store_opened, app_committed = keystore_opened, committed

    def at_rest(self) -> None:
        for machine in self.world.machines:
            if machine.running and machine.keystores:
                self._look(machine.name, machine.keystores[-1])
        for app in self.world.apps.values():
            if app.running and app.disk is not None and app.disk.keystores:
                self._look(app.name, app.disk.keystores[-1])

    def _look(self, name: str, keystore: Keystore) -> None:
        try:
            found = _read(keystore)
        except KeystoreError as error:
            self.violate(f"{name} runs, and its keystore cannot be read: {error}")
            return
        known = self._known[name]
        changed = [place for place in known.keys() | found.keys() if known.get(place) != found.get(place)]
        if changed:
            tables = ", ".join(sorted({table.name for table, _ in changed}))
            self.violate(f"{name} does not hold {len(changed)} records as they were committed ({tables})")


def _read(keystore: Keystore) -> Content:
    return {
        (table, key): hash(bytes(value)) for table in Table if table is not Table.HISTORY for key, value in keystore.load(table)
    }
