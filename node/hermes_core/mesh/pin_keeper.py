"""Which members this node has linked with, for its next start: it knows their keys before it meets anybody; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor

SAVE_AFTER_S: Final = 10.0
"""Whoever was linked with is on the disk this long after at the latest."""


class PinKeeper:
    """The owner of what is stored, bounded: who was linked with the longest time ago goes first.

    A descriptor is stored anew when its key or its address is another one; incarnations alone are heard again soon enough.
    """

    def __init__(self, held: Iterable[NodeDescriptor], max_held: int) -> None:
        self._held = {descriptor.node_id: descriptor for descriptor in held}
        self._max_held = max_held
        self._unsaved: set[NodeId] = set()
        self._save_at: float | None = None

    def take(self, descriptor: NodeDescriptor, now: float) -> None:
        """A link to this member stands."""
        held = self._held.pop(descriptor.node_id, None)
        self._held[descriptor.node_id] = descriptor
        if held is not None and (held.node_key, held.address) == (descriptor.node_key, descriptor.address):
            return
        self._note_unsaved(descriptor.node_id, now)
        while len(self._held) > self._max_held:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._note_unsaved(oldest, now)

    def _note_unsaved(self, node_id: NodeId, now: float) -> None:
        self._unsaved.add(node_id)
        if self._save_at is None:
            self._save_at = now + SAVE_AFTER_S

    def next_timer(self) -> float | None:
        """When `take_unsaved` has to be asked."""
        return self._save_at

    def take_unsaved(self, now: float) -> dict[NodeId, NodeDescriptor | None]:
        """What the disk does not hold yet, once it is time; None: it is to forget the one it holds."""
        if self._save_at is None or now < self._save_at:
            return {}
        changed = {node_id: self._held.get(node_id) for node_id in sorted(self._unsaved)}
        self._unsaved.clear()
        self._save_at = None
        return changed
