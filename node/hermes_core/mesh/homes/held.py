"""What this node holds for others: of each app the entry that ranks highest, as the homes themselves sent them.

An entry is verified when it is used: when somebody else claims the app as well. What nobody contests is verified by who asks.
One of a home that says nothing of it any more comes from whoever held it before: it is verified before it is taken in, and
counts as the sender's.
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
        self._handed_by: dict[AppId, NodeId] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, app_id: AppId) -> HomeEntry | None:
        kept = self._kept.get(app_id)
        return None if kept is None else kept.entry

    def find_aged(self, app_id: AppId, now: float) -> tuple[HomeEntry, int] | None:
        """What is held of an app, and how many seconds ago its home said so."""
        kept = self._kept.get(app_id)
        return None if kept is None else (kept.entry, max(0, int(now - kept.heard_at)))

    def list_orphans(self, is_doubted: Callable[[NodeId], bool], is_orphan: Callable[[HomeEntry], bool]) -> list[AppId]:
        """Apps of whose homes nothing more is heard; all entries of those are looked at that are doubted."""
        of_those = [app_id for node_id, app_ids in self._of.items() if is_doubted(node_id) for app_id in app_ids]
        return [app_id for app_id in dict.fromkeys((*of_those, *self._handed_by)) if is_orphan(self._kept[app_id].entry)]

    def holds(self, entry: HomeEntry) -> bool:
        """Whether it is known already, to the byte."""
        known = self._kept.get(entry.app_id)
        return known is not None and (known.home, known.signed) == (entry.home, entry.signed)

    def take_handed(self, entry: HomeEntry, sender: NodeId, age_s: int, now: float) -> tuple[NodeId, HomeEntry] | None:
        """What another node held of a home that says nothing of it any more. As `take`; it is as old here as it was there."""
        app_id, heard_at = entry.app_id, now - age_s
        if heard_at + self._params.kept_s <= now or not self._is_right(entry, now):
            return None
        known = self._kept.get(app_id)
        elsewhere = known is not None and known.home.node_id != entry.home.node_id
        outranks = known is not None and entry.outranks(known.entry)
        if known is not None and not outranks and (not elsewhere or known.proven or self._is_right(known.entry, now)):
            return None
        self._put(app_id, entry, now, proven=True, handed=(sender, heard_at))
        return (known.home.node_id, entry) if known is not None and elsewhere and outranks else None

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
            self._forget_of(self._handed_by.pop(app_id, kept.home.node_id), app_id)

    def _is_right(self, entry: HomeEntry, now: float) -> bool:
        return self._counts(entry.stamp, now) and entry.verify()

    def _put(
        self,
        app_id: AppId,
        entry: HomeEntry,
        now: float,
        *,
        proven: bool,
        handed: tuple[NodeId, float] | None = None,
    ) -> None:
        sender, heard_at = handed or (entry.home.node_id, now)
        former = self._kept.get(app_id)
        if former is None and len(self._kept) >= self._params.max_held and not self._make_room(sender):
            return
        if former is not None:
            self._forget_former(app_id, former, sender)
        home = entry.home
        if handed is not None:
            self._handed_by[app_id] = sender
        elif self._names.get(sender) != home:
            self._names[sender] = home
        else:
            home = self._names[sender]  # one object for all of a node
        self._kept[app_id] = _Kept(home, entry.signed, heard_at, now + self._params.lapse_s, proven=proven)
        self._of.setdefault(sender, {})[app_id] = None

    def _forget_former(self, app_id: AppId, former: _Kept, sender: NodeId) -> None:
        """Its place goes to the same sender, or to another one."""
        del self._kept[app_id]
        by = self._handed_by.pop(app_id, former.home.node_id)
        if by != sender:
            self._forget_of(by, app_id)

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
            del self._of[node_id]
            self._names.pop(node_id, None)

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
