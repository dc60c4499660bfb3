"""A hash ring of nodes: whoever knows the same members names the same holders of a key, and few change with a member.

Consistent hashing (Karger et al., STOC 1997). Every member has as many points on a circle of 64 bits; the holders of a key are
the first members that are met from its own point on.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from hermes_core.crypto.encoding import lp, u32
from hermes_core.crypto.labels import RING
from hermes_core.ids import NodeId

POINTS_A_MEMBER: Final = 64
"""The fullest of 1,000 members then holds about a third more than its share."""
_POINT_BYTES: Final = 8
_REMEMBERED: Final = 4096


class HashRing:
    """The owner of the circle; `set_members` is told who lives."""

    __slots__ = ("_members", "_places", "_points")

    def __init__(self, members: Iterable[NodeId] = ()) -> None:
        self._members: frozenset[NodeId] = frozenset()
        self._points: list[tuple[int, NodeId]] = []
        self._places: list[int] = []
        self.set_members(members)

    @property
    def members(self) -> frozenset[NodeId]:
        return self._members

    def set_members(self, members: Iterable[NodeId]) -> bool:
        """These and no others; True when that is a change."""
        wanted = frozenset(members)
        if wanted == self._members:
            return False
        came, gone = wanted - self._members, self._members - wanted
        if gone:
            self._points = [point for point in self._points if point[1] not in gone]
        self._points.extend((place, member) for member in came for place in _derive_points(member))
        self._points.sort()
        self._places = [place for place, _ in self._points]
        self._members = wanted
        return True

    def find(self, key: bytes, count: int, *, without: NodeId | None = None) -> tuple[NodeId, ...]:
        """The first `count` members from the key's point on, nearest first; fewer when there are no more. `without` is none."""
        found: dict[NodeId, None] = {}
        for member in self._walk(_derive_place(lp(b"key") + lp(key))):
            if member != without:
                found[member] = None
                if len(found) == count:
                    break
        return tuple(found)

    def _walk(self, place: int) -> Iterator[NodeId]:
        start = bisect_left(self._places, place)
        for index in range(len(self._points)):
            yield self._points[(start + index) % len(self._points)][1]


@lru_cache(_REMEMBERED)
def _derive_points(member: NodeId) -> tuple[int, ...]:
    return tuple(_derive_place(lp(b"member") + lp(member.encode()) + u32(index)) for index in range(POINTS_A_MEMBER))


def _derive_place(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(lp(RING) + data).digest()[:_POINT_BYTES], "big")
