"""The last time a node has seen, in its keystore: it rides on commits, and makes one of its own when there are none."""

from __future__ import annotations

import math
import struct
from typing import Final

from hermes_core.clock_peers import SeenTime
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.tables import Table
from hermes_core.limits import LAST_SEEN_INTERVAL_S
from hermes_keystore.store import Keystore

LAST_SEEN: Final = (Table.HISTORY, b"last seen")
UNCONFIRMED: Final = (Table.HISTORY, b"unconfirmed")
"""How much of it was counted on the word of the node's own clock; as good as 0 where there is none."""
_SECONDS: Final = struct.Struct(">Q")


def read_last_seen(keystore: Keystore) -> SeenTime | None:
    """None in a keystore that no node has used. KeystoreTamperedError when it is not well formed."""
    date_s = _read(keystore, LAST_SEEN)
    return None if date_s is None else SeenTime(date_s, _read(keystore, UNCONFIRMED) or 0.0)


def _read(keystore: Keystore, place: tuple[Table, bytes]) -> float | None:
    stored = keystore.get(*place)
    if stored is None:
        return None
    if len(stored) != _SECONDS.size:
        raise KeystoreTamperedError("the last time seen is not well formed")
    return float(_SECONDS.unpack(stored)[0])


class LastSeen:
    """When the time was last kept, and what of it was unconfirmed then.

    The date is kept in whole seconds, rounded down, so that no restart finds itself earlier; what is unconfirmed is rounded up.
    The date goes back when others' clocks say so.
    """

    def __init__(self) -> None:
        self._kept_at = float("-inf")
        self._kept_unconfirmed: bytes | None = None

    def rides_at(self, now: float) -> bool:
        """Whether a commit that is made anyway should carry it: one in a few seconds, since each costs a row."""
        return abs(now - self._kept_at) >= LAST_SEEN_INTERVAL_S / 6

    def is_due(self, now: float) -> bool:
        """Whether it is worth a commit of its own."""
        return abs(now - self._kept_at) >= LAST_SEEN_INTERVAL_S

    def encode(self, seen: SeenTime) -> dict[tuple[Table, bytes], bytes]:
        """u64(seconds) each, to be put in one transaction; what is not confirmed only where it changed."""
        unconfirmed = _SECONDS.pack(math.ceil(seen.unconfirmed_s))
        puts = {LAST_SEEN: _SECONDS.pack(max(0, int(seen.date_s)))}
        return puts if unconfirmed == self._kept_unconfirmed else puts | {UNCONFIRMED: unconfirmed}

    def note_kept(self, seen: SeenTime) -> None:
        """It is durable."""
        self._kept_at = seen.date_s
        self._kept_unconfirmed = _SECONDS.pack(math.ceil(seen.unconfirmed_s))
