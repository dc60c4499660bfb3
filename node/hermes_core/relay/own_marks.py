"""What the node's machine asks of its keystore's marks: the present one for every app, and what one that comes back proves."""

from __future__ import annotations

from typing import Protocol


class OwnMarks(Protocol):
    """A mark as it travels has 128 bytes (hermes_core.keystore.mark)."""

    def current(self) -> bytes:
        """Where the keystore durably stands, signed."""
        ...

    def proves_rollback(self, mark: bytes) -> bool:
        """Whether this proves the keystore to be an older copy, and nobody has judged it yet. Changes nothing."""
        ...
