"""What this node remembers of other nodes' keystores: the highest mark of each, handed back whenever one is met again; pure.

A node whose volume was put back learns so from what others hold of it (docs/reference/protocol.md, Witnesses).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes_core.keystore.mark import Mark

SAVE_AFTER_S: Final = 10.0
"""A mark that came is on the disk this long after at the latest, or with the next commit."""


class MarkKeeper:
    """The owner of the marks held. `max_held` bounds them: the one that was not heard of for longest goes first."""

    def __init__(self, held: Iterable[Mark], max_held: int) -> None:
        self._held = {mark.node_key: mark for mark in held}  # least recently heard of first
        self._max_held = max_held
        self._unsaved: set[bytes] = set()
        self._save_at: float | None = None

    def find(self, node_key: bytes) -> Mark | None:
        """What is to be handed back to the node that proved this key."""
        return self._held.get(node_key)

    def take(self, mark: Mark, now: float) -> None:
        """A mark, verified as its node's own. A lower one than is held changes nothing: its node has not judged ours yet."""
        held = self._held.pop(mark.node_key, None)
        if held is not None and held.commit_counter >= mark.commit_counter:
            self._held[mark.node_key] = held
            return
        self._held[mark.node_key] = mark
        self._note_unsaved(mark.node_key, now)
        while len(self._held) > self._max_held:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._note_unsaved(oldest, now)

    def _note_unsaved(self, node_key: bytes, now: float) -> None:
        self._unsaved.add(node_key)
        if self._save_at is None:
            self._save_at = now + SAVE_AFTER_S

    def next_timer(self) -> float | None:
        """When `take_unsaved` has to be asked at the latest."""
        return self._save_at

    def take_unsaved(self) -> dict[bytes, Mark | None]:
        """By node key (32 bytes) what the disk does not hold yet; None: it is to forget the one it holds."""
        changed = {key: self._held.get(key) for key in sorted(self._unsaved)}
        self._unsaved.clear()
        self._save_at = None
        return changed
