"""Which faults come, drawn from (seed, lane, counter): the same seed makes the same plan, whatever happened meanwhile.

Each lane deals its kinds like a pack of cards: every kind comes once before one comes again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

LANES: dict[str, tuple[str, ...]] = {
    "nodes": ("node-kill", "node-freeze", "node-drain", "node-lost"),
    "apps": ("app-kill", "app-freeze", "app-restored", "app-moves", "apps-cross"),
    "network": ("nodes-cut", "nodes-hole", "app-cut", "app-hole"),
    "chats": ("stream-cut", "rekey-storm", "delete"),
}
WORKERS = {"nodes": 2, "apps": 3, "network": 2, "chats": 3}
PAUSE_S = {"nodes": 3.0, "apps": 3.0, "network": 2.0, "chats": 1.5}
"""Longest pause of a worker between two faults."""
KINDS = tuple(kind for kinds in LANES.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the plan. `draws` decides everything else about it."""

    lane: str
    number: int
    kind: str
    draws: random.Random


def draw_fault(seed: int, lane: str, number: int, kinds: tuple[str, ...] | None = None) -> Fault:
    """The fault with this number, from 0, of a lane."""
    pack = list(kinds or LANES[lane])
    deal, place = divmod(number, len(pack))
    random.Random(f"{seed}/{lane}/pack/{deal}").shuffle(pack)
    return Fault(lane, number, pack[place], random.Random(f"{seed}/{lane}/{number}"))
