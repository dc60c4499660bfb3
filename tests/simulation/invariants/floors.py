"""A keystore that is found below its floor says so with its first commit, before anything else is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.keystore.floor import judge_floor, parse_floor_key
from hermes_core.keystore.rollback import Rollback
from hermes_keystore.floor_file import read_floor
from hermes_keystore.history import FLOOR, ROLLBACK
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class FloorsHold(Invariant):
    """The judge is the product's own (tests/unit/hermes_core/keystore/test_floor.py): this asks at each opening.

    Who says so without cause breaks what is said of marks.
    """

    name = "a keystore below its floor says so"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._below: dict[str, Rollback] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        stored = keystore.get(*FLOOR)
        key = None if stored is None else parse_floor_key(stored)
        found = judge_floor(key, keystore.file_id, read_floor(keystore.path), keystore.mark.commit_counter)
        if key is not None:
            key.key.wipe()
        if found is not None:
            self._below[process.name] = found

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        below = self._below.pop(process.name, None) if self._below else None
        if below is not None and ROLLBACK not in puts:
            self.violate(f"{process.name} went on without a word: {below.detail}")
