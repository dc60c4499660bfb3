"""What a node holds for up, as a sum for each of 64 buckets: two nodes see by 512 bytes where they differ."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from hermes_core.crypto.encoding import lp
from hermes_core.crypto.labels import PROBE_RINGS
from hermes_core.ids import NodeId
from hermes_core.mesh.swim.messages import BUCKETS, MARK_BYTES

_WRAP = 1 << (8 * MARK_BYTES)


class Digests:
    """The owner of the sums. A descriptor is in them by the beginning of its signature, which all of it makes."""

    __slots__ = ("_marks", "_sums")

    def __init__(self) -> None:
        self._sums = [0] * BUCKETS
        self._marks: dict[NodeId, int] = {}

    @property
    def sums(self) -> tuple[int, ...]:
        return tuple(self._sums)

    def set(self, node_id: NodeId, signature: bytes | None) -> None:
        """None: it is not up any more."""
        bucket = bucket_of(node_id)
        mark = 0 if signature is None else int.from_bytes(signature[:MARK_BYTES], "big")
        self._sums[bucket] = (self._sums[bucket] + mark - self._marks.pop(node_id, 0)) % _WRAP
        if signature is not None:
            self._marks[node_id] = mark

    def compare(self, sums: tuple[int, ...]) -> int:
        """The buckets that differ, as bits."""
        return sum(1 << bucket for bucket in range(BUCKETS) if sums[bucket] != self._sums[bucket])


@lru_cache(8_192)
def bucket_of(node_id: NodeId) -> int:
    return hashlib.sha256(lp(PROBE_RINGS) + lp(b"bucket") + lp(node_id.encode())).digest()[0] % BUCKETS
