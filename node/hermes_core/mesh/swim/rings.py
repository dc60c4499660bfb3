"""Whom a node probes: the member that follows it on each of several rings.

On each ring all members stand in an order of its own, made of their names. So everybody is probed by as many others as there
are rings, about once a period, whatever the size of the mesh; and the links that probes run over stand, where probing everybody
in turn would dial anew for each (Rapid, Suresh et al., USENIX ATC 2018, section 4.1). Nobody chooses who probes it: a place is
a hash of a name, and names come with certificates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from hermes_core.crypto.encoding import lp
from hermes_core.crypto.labels import PROBE_RINGS
from hermes_core.ids import NodeId

RINGS: Final = 16
_PLACE_BYTES: Final = 8
_CIRCLE: Final = 1 << (8 * _PLACE_BYTES)


class ProbeRings:
    """The owner of the next member on each ring, and of the turn in which they are probed."""

    __slots__ = ("_next", "_own", "_round", "_shuffle")

    def __init__(self, own: NodeId, shuffle: Callable[[list[NodeId]], None]) -> None:
        self._own = derive_places(own)
        self._shuffle = shuffle
        self._next: list[tuple[int, NodeId] | None] = [None] * RINGS
        self._round: list[NodeId] = []

    @property
    def targets(self) -> frozenset[NodeId]:
        return frozenset(found[1] for found in self._next if found is not None)

    def add(self, member: NodeId) -> None:
        places = derive_places(member)
        for ring, current in enumerate(self._next):
            distance = (places[ring] - self._own[ring]) % _CIRCLE
            if current is None or distance < current[0]:
                self._next[ring] = (distance, member)

    def remove(self, member: NodeId, others: Iterable[NodeId]) -> None:
        """`others`: everybody who is left."""
        emptied = [ring for ring, current in enumerate(self._next) if current is not None and current[1] == member]
        for ring in emptied:
            self._next[ring] = None
        if emptied:
            for other in others:
                self.add(other)

    def next_target(self) -> NodeId | None:
        """Each of the targets once, in an order that is drawn, before any of them again."""
        targets = self.targets
        while self._round:
            target = self._round.pop()
            if target in targets:
                return target
        self._round = sorted(targets)
        self._shuffle(self._round)
        return self._round.pop() if self._round else None


@lru_cache(8_192)
def derive_places(member: NodeId) -> tuple[int, ...]:
    """Where a member stands on each ring."""
    digest = hashlib.shake_256(lp(PROBE_RINGS) + lp(member.encode())).digest(RINGS * _PLACE_BYTES)
    return tuple(int.from_bytes(digest[at : at + _PLACE_BYTES], "big") for at in range(0, len(digest), _PLACE_BYTES))
