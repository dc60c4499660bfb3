"""A node that does whatever it can to what it carries between two others: `python -m tests.support.hostile_third`.

The file that THIRD_ACTS names says which acts, for one stream after the other; it is honest while that is empty. What it did
stands in the file beside it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any, Final

from hermes_core.mesh.carry.messages import Carried
from hermes_core.mesh.carry.places import CarryPlace
from hermes_node.cli import main
from hermes_node.mesh.third import ThirdNode

SHARE: Final = 0.3


class Acts:
    """The pieces of all streams, and what becomes of the next one."""

    def __init__(self, acts: Path) -> None:
        self._acts = acts
        self._done = acts.with_suffix(".done")
        self._random = random.Random(7)
        self._kept: dict[int, list[bytes]] = {}
        self._held: dict[int, list[Carried]] = {}

    def make_of(self, place: CarryPlace, piece: Carried) -> list[Carried]:
        acts = self._acts.read_text().split()
        held = self._held.setdefault(place.number, [])
        self._kept.setdefault(place.number, []).append(piece.data)
        if held:
            return [piece, held.pop()]
        if not acts or self._random.random() > SHARE:
            return [piece]
        act = acts[place.number % len(acts)]
        made: list[Carried] = getattr(self, f"_{act}")(place, piece)
        if made != [piece]:
            with self._done.open("a") as done:
                done.write(f"{act}\n")
        return made

    def _flip(self, _: CarryPlace, piece: Carried) -> list[Carried]:
        changed = bytearray(piece.data)
        changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return [Carried(bytes(changed), piece.more)]

    def _drop(self, _: CarryPlace, __: Carried) -> list[Carried]:
        return []

    def _repeat(self, _: CarryPlace, piece: Carried) -> list[Carried]:
        return [piece, piece]

    def _swap(self, place: CarryPlace, piece: Carried) -> list[Carried]:
        self._held[place.number].append(piece)
        return []

    def _replay(self, place: CarryPlace, piece: Carried) -> list[Carried]:
        return [piece, Carried(self._random.choice(self._kept[place.number]), more=False)]

    def _splice(self, place: CarryPlace, piece: Carried) -> list[Carried]:
        """What was said on another stream, of this pair or the other one."""
        others = [data for number, kept in self._kept.items() if number != place.number for data in kept[-20:]]
        return [Carried(self._random.choice(others), more=False)] if others else [piece]


def be_hostile(acts: Acts) -> None:
    async def pass_on(self: ThirdNode, place: CarryPlace, source: Any, sink: Any) -> None:
        while isinstance(piece := await source.receive(), Carried):
            for made in acts.make_of(place, piece):
                await sink.send(made)
            await asyncio.sleep(0)

    ThirdNode._pass_on = pass_on  # type: ignore[method-assign]


if __name__ == "__main__":
    be_hostile(Acts(Path(os.environ["THIRD_ACTS"])))
    sys.exit(main(sys.argv[1:]))
