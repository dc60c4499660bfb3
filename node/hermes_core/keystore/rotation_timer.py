"""When a keystore rotates its generation, and how fast: what was deleted is erased in time, and nobody waits for it.

A rotation seals the live records under a fresh key and forgets the former one: older copies of records, and those that were
deleted, then open to nobody. It costs what all records cost, so a burst of deletions counts as one only from a share of them
on; the bound on time holds for any.
"""

from __future__ import annotations

from typing import Final

from hermes_core.values import dataclass

SLICE_ROWS: Final = 32
"""One slice of a rotation looks at so many rows at most: what a commit may have to wait for."""
SLICE_S: Final = 0.005
"""And a slice begins with no other row after this time: rows may be large, and disks slow."""
BURST_SHARE: Final = 1 / 16
"""Deletions are a burst from this share of all records on: then a rotation costs each of them sixteen records sealed anew."""
_BEGIN_SHARE: Final = 1 / 4
"""Without a burst, a rotation begins when this part of the time is over in which a deleted record must be erased."""
_SPREAD_SHARE: Final = 1 / 2
"""And is spread over this part of it. What is left is for slices that are slower than was thought."""
MAX_PAUSE_S: Final = 0.25
_MAX_PAUSE_AFTER_SLOW_S: Final = 1.0
"""After a slice that was slower than this, for a disk that hung once is no reason to leave deleted records in the file."""


@dataclass(frozen=True, slots=True)
class RotationParams:
    """`interval_s`: a generation's greatest age; 0: any. `erase_within_s`: from a deletion to the end of its generation.

    `after_deletes`: so many deleted records are a burst, if they are BURST_SHARE of all as well.
    """

    interval_s: float
    erase_within_s: float
    after_deletes: int


class RotationTimer:
    """Remembers when the generation began and when a record of it was deleted first, as far as this process knows.

    A start counts as both: nobody wrote down what the process before it deleted.
    """

    def __init__(self, params: RotationParams, now: float) -> None:
        self._params = params
        self._began_at = now
        self._deleted_at: float | None = now
        self._counted = 0
        self._deleted = 0
        self._spread_until = now

    def note_deleted(self, total: int, now: float) -> None:
        """`total`: records deleted since the start."""
        if total > self._counted and self._deleted_at is None:
            self._deleted_at = now
        self._deleted += total - self._counted
        self._counted = total

    def is_due(self, records: int, now: float) -> bool:
        """`records`: how many there are."""
        params = self._params
        if self._deleted >= max(params.after_deletes, records * BURST_SHARE):
            return True
        erased_from = None if self._deleted_at is None else self._deleted_at + params.erase_within_s * _BEGIN_SHARE
        renewed_from = self._began_at + params.interval_s if params.interval_s else None
        return any(at is not None and now >= at for at in (erased_from, renewed_from))

    def begin(self, now: float) -> None:
        """A rotation begins, or one that an earlier process began goes on. What is deleted from now on is the next one's."""
        self._began_at = now
        self._deleted_at = None
        self._deleted = 0
        self._spread_until = now + self._params.erase_within_s * _SPREAD_SHARE

    def pause_s(self, took_s: float, records: int, now: float) -> float:
        """How long to let others go first after a slice that took `took_s`; `records` are still to be sealed anew.

        As long as the slice took at least, up to a bound: half of the keystore's time is the chats', and those that asked
        while it took longer go before the next one anyway.
        """
        slices = max(1.0, records / SLICE_ROWS)
        return max(min(took_s, _MAX_PAUSE_AFTER_SLOW_S), min(MAX_PAUSE_S, (self._spread_until - now) / slices))
