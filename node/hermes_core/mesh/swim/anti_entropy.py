"""Anti-entropy: two nodes compare 64 sums, list the buckets that differ, and hand each other what one of them lacks.

Gossip tells each fact a bounded number of times, so some miss it; and who is new has missed them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.digests import bucket_of
from hermes_core.mesh.swim.hearsay import Hearsay
from hermes_core.mesh.swim.messages import (
    MARK_BYTES,
    Alive,
    Fact,
    ListedMember,
    SyncDigests,
    SyncFacts,
    SyncListing,
    SyncWanted,
)
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.roster import SwimMember

_FIRST: Final = 8
_SEEDS: Final = 3


class AntiEntropy:
    """The owner of when to compare next, and with whom: soon while there are differences, else rarely.

    Who is new has few members to ask, and most of them are as new. The first that it met are mostly its seeds, who know more.
    """

    __slots__ = ("_differs", "_due", "_first", "_hearsay", "_parts")

    def __init__(self, parts: SwimParts, hearsay: Hearsay, now: float) -> None:
        self._parts = parts
        self._hearsay = hearsay
        self._due = now
        self._differs = False
        self._first: list[NodeId] = []

    def meet(self, member: SwimMember, *, came_back: bool) -> None:
        """A link stands: compare with the first few at once, and with who was dead here."""
        node_id = member.descriptor.node_id
        first = len(self._first) < _FIRST and node_id not in self._first
        if first:
            self._first.append(node_id)
        if first or came_back:
            self.begin(member)

    def tick(self, now: float) -> None:
        """With a member that is linked, drawn; or with one of the first while there are differences."""
        if now < self._due:
            return
        roster, draw = self._parts.roster, self._parts.draw
        among = [m for name in self._parts.links if (m := roster.find_up(name))]
        if self._differs and draw(2):
            among = [m for name in self._first[:_SEEDS] if (m := roster.find_up(name))] or among
        if among:
            period_s = self._parts.params.period_s
            self._due = now + self._parts.draw_time(0.5, 1.5) * self._parts.params.sync_periods * period_s
            self._differs = False
            self.begin(among[draw(len(among))])

    def begin(self, member: SwimMember) -> None:
        self._parts.links.send(member.descriptor, SyncDigests(self._parts.roster.digests.sums))

    def compare(self, sender: SwimMember, message: SyncDigests, now: float) -> None:
        """List what this node holds where the sums differ."""
        mask = self._parts.roster.digests.compare(message.sums)
        if mask:
            self._hasten(now)
            self._list(sender, mask)

    def read(self, sender: SwimMember, message: SyncListing, now: float) -> None:
        """Ask for what is listed and not known, give what is known and not listed."""
        parts, name = self._parts, sender.descriptor.node_id
        listed = {entry.node_id: entry for entry in message.entries}
        room = min(parts.rumours.room(name, now), parts.params.facts_a_message)
        wanted = [
            entry.node_id
            for entry in message.entries
            if not self._hearsay.vouch(entry.node_id, entry.mark, name, now) and self._is_news(entry)
        ]
        given = tuple(islice(self._lacking(message.mask, listed), parts.params.facts_a_message))
        if wanted or any(parts.rumours.get(entry.node_id) for entry in message.entries):
            self._hasten(now)
        if wanted:
            parts.links.send(sender.descriptor, SyncWanted(tuple(wanted[: max(room, 1)])))
        if given:
            parts.links.send(sender.descriptor, SyncFacts(given))

    def give(self, sender: SwimMember, message: SyncWanted) -> None:
        own, roster = self._parts.own.descriptor, self._parts.roster
        found = [Alive(own) for name in message.names if name == own.node_id]
        found += [Alive(m.descriptor) for name in message.names if (m := roster.find_up(name))]
        if found:
            self._parts.links.send(sender.descriptor, SyncFacts(tuple(found)))

    def _hasten(self, now: float) -> None:
        self._differs = True
        self._due = min(self._due, now + self._parts.params.period_s)

    def _list(self, sender: SwimMember, mask: int) -> None:
        descriptors = [m.descriptor for m in self._parts.roster if m.is_up]
        if self._parts.own.departure is None:
            descriptors.append(self._parts.own.descriptor)
        entries = [
            ListedMember(d.node_id, d.incarnation, d.signature[:MARK_BYTES])
            for d in descriptors
            if mask >> bucket_of(d.node_id) & 1
        ]
        self._parts.links.send(sender.descriptor, SyncListing(mask, tuple(entries[: self._parts.params.entries_a_message])))

    def _is_news(self, entry: ListedMember) -> bool:
        own = self._parts.own.descriptor
        if entry.node_id == own.node_id:
            return entry.incarnation > own.incarnation
        member = self._parts.roster.get(entry.node_id)
        if member is None:
            rumour = self._parts.rumours.get(entry.node_id)
            return rumour is None or entry.incarnation > rumour.descriptor.incarnation
        known = member.descriptor
        newer = entry.incarnation > known.incarnation
        return newer or (entry.incarnation == known.incarnation and not known.signature.startswith(entry.mark))

    def _lacking(self, mask: int, listed: dict[NodeId, ListedMember]) -> Iterator[Fact]:
        """What the sender does not know: members it did not list, newer descriptors, and why those it listed are not up."""
        own = self._parts.own
        mine = own.descriptor
        if mask >> bucket_of(mine.node_id) & 1:
            entry = listed.get(mine.node_id)
            if entry is None or entry.incarnation < mine.incarnation:
                yield own.departure or Alive(mine)
        for member in self._parts.roster:
            known = member.descriptor
            if not mask >> bucket_of(known.node_id) & 1:
                continue
            entry = listed.get(known.node_id)
            if member.is_up:
                if entry is None or entry.incarnation < known.incarnation:
                    yield Alive(known)
            elif entry is not None and entry.incarnation <= known.incarnation:
                if member.state is MemberState.LEFT and member.departure is not None:
                    yield member.departure
                yield from member.accusations
