"""Which key a name has, by this node's own links: kept beyond death, so that a dead node's name goes to nobody."""

from __future__ import annotations

from hermes_core.ids import NodeId

_MAX_RETIRED = 64


class Pins:
    """The owner of names and keys, and of the keys that a name had and never has again. Bounded: the oldest pin goes first."""

    __slots__ = ("_keys", "_most", "_retired")

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: dict[NodeId, bytes] = {}
        self._retired: dict[NodeId, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def key_of(self, node_id: NodeId) -> bytes | None:
        return self._keys.get(node_id)

    def holds(self, node_id: NodeId, key: bytes) -> bool:
        return self._keys.get(node_id) == key

    def is_retired(self, node_id: NodeId, key: bytes) -> bool:
        return key in self._retired.get(node_id, ())

    def pin(self, node_id: NodeId, key: bytes, renewed: tuple[bytes, ...] = ()) -> None:
        """A link to this name proved this key just now, and that it took the place of those `renewed`."""
        former = self._keys.pop(node_id, None)
        over = dict.fromkeys((*self._retired.get(node_id, ()), *renewed, *(() if former in (None, key) else (former,))))
        if over:
            self._retired[node_id] = tuple(over)[-_MAX_RETIRED:]
        self._keys[node_id] = key
        while len(self._keys) > self._most:
            oldest = next(iter(self._keys))
            del self._keys[oldest]
            self._retired.pop(oldest, None)
