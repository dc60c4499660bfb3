"""Marks that an app keeps of the nodes it met, to hand them back: a node whose volume was put back learns of it so; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.keystore.app_record import NodeMarkRecord
from hermes_core.keystore.mark import Mark, encode_mark, parse_mark

MAX_KEPT: Final = 1024


class KeptMarks:
    """The owner of the highest mark of each node and key; the one that was not heard of for longest goes first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[NodeId, bytes], Mark] = {}

    def restore(self, records: Iterable[NodeMarkRecord]) -> None:
        """Those of a former start."""
        for record in records:
            self.take(record.node_id, record.mark)

    def take(self, node_id: NodeId, mark: bytes) -> NodeMarkRecord | None:
        """A mark that this node gave under its own key (128 bytes). A lower one than is kept changes nothing.

        The one that went to make room, if any.
        """
        came = parse_mark(mark)
        place = node_id, came.node_key
        kept = self._kept.pop(place, came)
        self._kept[place] = max(came, kept, key=lambda mark: mark.commit_counter)
        if len(self._kept) <= MAX_KEPT:
            return None
        oldest = next(iter(self._kept))
        return NodeMarkRecord(oldest[0], encode_mark(self._kept.pop(oldest)))

    def find(self, node_id: NodeId, node_key: bytes) -> bytes:
        """What to hand back to the node that shows this key; empty when there is nothing.

        A node whose key is new may have renewed it: then what it said under a former one counts as well.
        """
        of_key = self._kept.get((node_id, node_key))
        others = (mark for (name, _), mark in self._kept.items() if name == node_id)
        found = of_key or max(others, key=lambda mark: mark.commit_counter, default=None)
        return b"" if found is None else encode_mark(found)
