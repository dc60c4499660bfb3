"""What a keystore knows of its own past: its lineage, a rollback that waits to be acted on, and the floor beside it."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.keystore.floor import FLOOR_KEY, FloorKey, encode_floor_key, judge_floor, parse_floor_key
from hermes_core.keystore.keys import generate_key
from hermes_core.keystore.lineage import (
    LINEAGE_KEY,
    TOLD_KEY,
    Lineage,
    encode_lineage,
    encode_told,
    parse_lineage,
    parse_told,
)
from hermes_core.keystore.mark import OPEN_ID_BYTES
from hermes_core.keystore.rollback import ROLLBACK_KEY, Rollback, encode_rollback, parse_rollback
from hermes_core.keystore.tables import Table

Place = tuple[Table, bytes]
LINEAGE: Place = (Table.HISTORY, LINEAGE_KEY)
ROLLBACK: Place = (Table.HISTORY, ROLLBACK_KEY)
FLOOR: Place = (Table.HISTORY, FLOOR_KEY)
TOLD: Place = (Table.HISTORY, TOLD_KEY)


class History:
    """The owner of these. What it returns is to be committed; then it holds.

    `found`: the commit counter at which the keystore stood. `told`: marks of this opening may leave the node.
    """

    def __init__(self, lineage: Lineage, rollback: Rollback | None, floor: FloorKey, found: int) -> None:
        self.lineage = lineage
        self.rollback = rollback
        self.floor = floor
        self.found = found
        self.told = False

    @classmethod
    def read(
        cls,
        get: Callable[[Table, bytes], bytearray | None],
        beside: bytes | None,
        file_id: bytes,
        found: int,
        random: RandomSource,
    ) -> History:
        """The history as this opening begins, at commit `found`, with `beside` in the file that holds the floor.

        A proof that nobody has acted on is older than what the file says now, and stays.
        """
        stored, waiting, key, noted = get(*LINEAGE), get(*ROLLBACK), get(*FLOOR), get(*TOLD)
        lineage = Lineage() if stored is None else parse_lineage(stored)
        floor = None if key is None else parse_floor_key(key)
        rollback = judge_floor(floor, file_id, beside, found) if waiting is None else parse_rollback(waiting)
        told = noted is None or parse_told(noted, lineage)
        lineage = lineage.begin(generate_bytes(OPEN_ID_BYTES, random), found, told=told)
        return cls(lineage, rollback, floor or FloorKey(generate_key(random), armed=False), found)

    def puts(self) -> dict[Place, bytes | bytearray]:
        """What this opening stores; the bytearray is the caller's to wipe."""
        puts: dict[Place, bytes | bytearray] = {LINEAGE: encode_lineage(self.lineage), TOLD: self._note(told=False)}
        if self.rollback is not None:
            puts[ROLLBACK] = encode_rollback(self.rollback)
        if not self.floor.armed:
            puts[FLOOR] = encode_floor_key(self.floor)
        return puts

    def tell(self) -> dict[Place, bytes]:
        """Durable before the first mark of this opening leaves the node."""
        return {TOLD: self._note(told=True)}

    def _note(self, *, told: bool) -> bytes:
        return encode_told(self.lineage.current.open_id, told=told)

    def arm(self) -> dict[Place, bytes | bytearray]:
        """The floor's file is there: from now on its absence means something. The bytearray is the caller's to wipe."""
        self.floor = FloorKey(self.floor.key, armed=True)
        return {FLOOR: encode_floor_key(self.floor)}
