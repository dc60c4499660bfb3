"""The last time a node has seen, in its keystore: it rides on commits, and makes one of its own when there are none."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.tables import Table
from hermes_core.limits import LAST_SEEN_INTERVAL_S
from hermes_node.keystore.store import Keystore

LAST_SEEN: Final = (Table.HISTORY, b"last seen")
_SECONDS: Final = struct.Struct(">Q")


def read_last_seen(keystore: Keystore) -> float | None:
    """Seconds since 1970; None in a keystore that no node has used. KeystoreTamperedError when it is not well formed."""
    stored = keystore.get(*LAST_SEEN)
    if stored is None:
        return None
    if len(stored) != _SECONDS.size:
        raise KeystoreTamperedError("the last time seen is not well formed")
    return float(_SECONDS.unpack(stored)[0])


class LastSeen:
    """When the time was last kept; it is kept in whole seconds, rounded down, so that no restart finds itself earlier.

    It goes back when others' clocks say so.
    """

    def __init__(self) -> None:
        self._kept_at = float("-inf")

    def rides_at(self, now: float) -> bool:
        """Whether a commit that is made anyway should carry it: one in a few seconds, since each costs a row."""
        return abs(now - self._kept_at) >= LAST_SEEN_INTERVAL_S / 6

    def is_due(self, now: float) -> bool:
        """Whether it is worth a commit of its own."""
        return abs(now - self._kept_at) >= LAST_SEEN_INTERVAL_S

    def encode(self, now: float) -> bytes:
        """u64(seconds since 1970), to be put at LAST_SEEN."""
        return _SECONDS.pack(max(0, int(now)))

    def note_kept(self, now: float) -> None:
        """It is durable."""
        self._kept_at = now
