"""What holders are still to hear, and what is on its way to them: one message at a time to each, until it says so.

A holder that does not read is sent nothing more: how much is on its way is bounded by how many holders there are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from itertools import islice

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.params import HomesParams


class _Parcel:
    __slots__ = ("app_ids", "number", "sent_at")

    def __init__(self, number: int, app_ids: dict[AppId, None], sent_at: float) -> None:
        self.number = number
        self.app_ids = app_ids
        self.sent_at = sent_at


class Handing:
    """The owner of both. Dicts serve as ordered sets."""

    def __init__(self, params: HomesParams) -> None:
        self._params = params
        self._wanted: dict[NodeId, dict[AppId, None]] = {}
        self._ready: dict[NodeId, None] = {}
        self._sent: OrderedDict[NodeId, _Parcel] = OrderedDict()
        self._number = 0

    def want(self, holder: NodeId, app_id: AppId) -> None:
        """This holder is to hear of the app, as it stands when the message is built."""
        self._wanted.setdefault(holder, {})[app_id] = None
        parcel = self._sent.get(holder)
        if parcel is None:
            self._ready[holder] = None
        else:
            parcel.app_ids.pop(app_id, None)  # what it takes in is outdated

    def keep_only(self, is_up: Collection[NodeId]) -> None:
        """All others are sent nothing any more."""
        for holder in [holder for holder in {**self._wanted, **self._sent} if holder not in is_up]:
            self._wanted.pop(holder, None)
            self._ready.pop(holder, None)
            self._sent.pop(holder, None)

    @property
    def waits(self) -> bool:
        """Whether something can be sent now."""
        return bool(self._ready)

    def take(self, budget: int, now: float) -> tuple[NodeId, int, tuple[AppId, ...]] | None:
        """The next message: for whom, its number, of whom; at most `budget` apps."""
        holder = next(iter(self._ready), None)
        if holder is None:
            return None
        del self._ready[holder]
        wanted = self._wanted.pop(holder)
        app_ids = list(islice(wanted, min(budget, self._params.entries_a_message)))
        for app_id in app_ids:
            del wanted[app_id]
        if wanted:
            self._wanted[holder] = wanted
        self._number += 1
        self._sent[holder] = _Parcel(self._number, dict.fromkeys(app_ids), now)
        return holder, self._number, tuple(app_ids)

    def held(self, holder: NodeId, number: int) -> Collection[AppId]:
        """It took the message in; of whom that says something still."""
        parcel = self._sent.get(holder)
        if parcel is None or parcel.number != number:
            return ()
        del self._sent[holder]
        if holder in self._wanted:
            self._ready[holder] = None
        return parcel.app_ids

    def retry(self, holder: NodeId) -> None:
        """What is on its way to it may have been lost."""
        parcel = self._sent.pop(holder, None)
        if parcel is not None:
            self._put_back(holder, parcel)

    def _put_back(self, holder: NodeId, parcel: _Parcel) -> None:
        wanted = self._wanted.setdefault(holder, {})
        for app_id in parcel.app_ids:
            wanted.setdefault(app_id)
        if wanted:
            self._ready[holder] = None
        else:
            del self._wanted[holder]

    def next_timer(self) -> float | None:
        first = next(iter(self._sent.values()), None)
        return None if first is None else first.sent_at + self._params.resend_s

    def handle_timer(self, now: float) -> None:
        """What nobody confirmed in time is sent again."""
        while self._sent:
            holder, parcel = next(iter(self._sent.items()))
            if parcel.sent_at + self._params.resend_s > now:
                return
            del self._sent[holder]
            self._put_back(holder, parcel)
