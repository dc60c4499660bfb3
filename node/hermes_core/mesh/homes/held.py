"""What this node holds for others: of each app the entry that ranks highest, as the homes themselves sent them.

An entry is verified when it is used: when somebody else claims the app as well. What nobody contests is verified by who asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.mesh.homes.params import HomesParams


class _Kept:
    """`proven`: the claim and the word were verified. `look_at`: when it is asked whether it is still held here."""

    __slots__ = ("heard_at", "home", "look_at", "proven", "signed")

    def __init__(self, home: NodeName, signed: bytes, heard_at: float, look_at: float, *, proven: bool) -> None:
        self.home = home
        self.signed = signed
        self.heard_at = heard_at
        self.look_at = look_at
        self.proven = proven

    @property
    def entry(self) -> HomeEntry:
        return HomeEntry(self.home, self.signed)


class HeldEntries:
    """The owner of them. `is_holder`: whether this node is one of an app; `counts`: whether a stamp does, at this time.

    A bound for all, which nodes share alike: when it is reached, who has most of them gets no more, or loses its first.
    """

    def __init__(self, params: HomesParams, is_holder: Callable[[AppId], bool], counts: Callable[[int, float], bool]) -> None:
        self._params = params
        self._is_holder = is_holder
        self._counts = counts
        self._kept: OrderedDict[AppId, _Kept] = OrderedDict()  # whose time to look comes first is the first
        self._of: dict[NodeId, dict[AppId, None]] = {}
        self._names: dict[NodeId, NodeName] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, app_id: AppId) -> HomeEntry | None:
        kept = self._kept.get(app_id)
        return None if kept is None else kept.entry

    def take(self, entry: HomeEntry, now: float) -> tuple[NodeId, HomeEntry] | None:
        """What its home sent. Which node has lost the app to whom, if two claim it and one of them is right."""
        app_id, known = entry.app_id, self._kept.get(entry.app_id)
        if known is None:
            self._put(app_id, entry, now, proven=False)
            return None
        if known.home.node_id == entry.home.node_id:
            if not known.entry.is_later_word(entry) or known.home != entry.home:
                same = (known.home, known.signed) == (entry.home, entry.signed)
                self._put(app_id, entry, now, proven=known.proven and same)
            return None
        if entry.outranks(known.entry):
            if not self._is_right(entry, now):
                return None
            former = known.home.node_id
            self._put(app_id, entry, now, proven=True)
            return former, entry
        if known.proven or self._is_right(known.entry, now):
            known.proven = True
            return entry.home.node_id, known.entry
        self._put(app_id, entry, now, proven=False)
        return None

    def drop(self, app_id: AppId) -> None:
        """Idempotent."""
        kept = self._kept.pop(app_id, None)
        if kept is not None:
            self._forget_of(kept.home.node_id, app_id)

    def _is_right(self, entry: HomeEntry, now: float) -> bool:
        return self._counts(entry.stamp, now) and entry.verify()

    def _put(self, app_id: AppId, entry: HomeEntry, now: float, *, proven: bool) -> None:
        node_id = entry.home.node_id
        former = self._kept.pop(app_id, None)
        if former is not None and former.home.node_id != node_id:
            self._forget_of(former.home.node_id, app_id)
        elif former is None and len(self._kept) >= self._params.max_held and not self._make_room(node_id):
            return
        name = self._names.get(node_id)
        if name is None or name != entry.home:  # one object for all of a node
            name = self._names[node_id] = entry.home
        self._kept[app_id] = _Kept(name, entry.signed, now, now + self._params.lapse_s, proven=proven)
        self._of.setdefault(node_id, {})[app_id] = None

    def _make_room(self, node_id: NodeId) -> bool:
        """Whether one more of this node's may be held: the node with most gives up its oldest."""
        largest = max(self._of, key=lambda other: len(self._of[other]))
        if len(self._of[largest]) <= len(self._of.get(node_id, ())) + 1:
            return False
        self.drop(next(iter(self._of[largest])))
        return True

    def _forget_of(self, node_id: NodeId, app_id: AppId) -> None:
        own = self._of[node_id]
        del own[app_id]
        if not own:
            del self._of[node_id], self._names[node_id]

    def next_timer(self) -> float | None:
        first = next(iter(self._kept.values()), None)
        return None if first is None else first.look_at

    def expire(self, now: float, limit: int) -> None:
        """Those that no home sends again: other nodes hold them by now, or their apps, or the homes, are gone.

        At most so many are looked at.
        """
        for _ in range(limit):
            first = next(iter(self._kept.items()), None)
            if first is None or first[1].look_at > now:
                return
            app_id, kept = first
            if kept.heard_at + self._params.kept_s <= now or not self._is_holder(app_id):
                self.drop(app_id)
            else:
                kept.look_at = now + self._params.lapse_s
                self._kept.move_to_end(app_id)
