"""The directory of apps as a sans-IO machine: members, own apps, messages and look-ups in; what to send and what is known out.

Each app's entry is at three holders on a hash ring of the members that are up. The highest stamp gives an app's home, that
node's word says whether it is there, and neither counts alone; both are signed, so that a holder can leave out, and no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, assert_never

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.askers import Askers
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.mesh.homes.handing import Handing
from hermes_core.mesh.homes.held import HeldEntries
from hermes_core.mesh.homes.holders import Holders
from hermes_core.mesh.homes.messages import (
    AgedEntry,
    EntriesHeld,
    EntryFound,
    EntryOvertaken,
    FindEntry,
    FindRefused,
    HandedOn,
    HoldEntries,
    HomesMessage,
)
from hermes_core.mesh.homes.own import OwnApps
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import Found, LookUpEnded, Searches
from hermes_core.protocol.session import AppClaim

_LOOKED_AT: Final = 1024
"""Entries held for others that are looked at in one pass, whether they still are."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """An app of this node is at home elsewhere, verified. `late`: it was when it connected here, with a stamp too low."""

    app_id: AppId
    entry: HomeEntry
    late: bool


@dataclass(frozen=True, slots=True)
class AskerRefused:
    """A member asked for more than one may. `news`: it was not named for that of late."""

    node_id: NodeId
    retry_after_ms: int
    news: bool


@dataclass(frozen=True, slots=True)
class HoldersChanged:
    """Members came or went, and so many apps of which this node tells holders have new ones."""

    apps: int


HomesEvent = Found | Overtaken | AskerRefused | HoldersChanged


class EntryFate(StrEnum):
    """What became of entries: those that this node handed to a holder, or those that were handed to this one.

    OVERTAKEN: the app is at home elsewhere by a newer entry. NO_ROOM: as many are held as may be.
    """

    HANDED = "handed"
    HELD = "held"
    OVERTAKEN = "overtaken"
    NO_ROOM = "no_room"


@dataclass(slots=True)
class HomesOutput:
    """`sends` may be lost: what matters is sent again, and who does not answer is not waited for.

    `look_ups`, `entries`: for whoever counts; what follows from them is done.
    """

    sends: list[tuple[NodeId, HomesMessage]] = field(default_factory=list)
    events: list[HomesEvent] = field(default_factory=list)
    look_ups: list[LookUpEnded] = field(default_factory=list)
    entries: Counter[EntryFate] = field(default_factory=Counter)


class Homes:
    """One node's part in the directory. `counts(stamp, now)`: whether a stamp is one that a node takes, at this time."""

    def __init__(
        self,
        identity: Identity,
        node_id: NodeId,
        incarnation: int,
        params: HomesParams,
        counts: Callable[[int, float], bool],
    ) -> None:
        self._params = params
        self._node_id = node_id
        self._output = HomesOutput()
        self._holders = Holders(node_id)
        self._own = OwnApps(identity, node_id, incarnation, params)
        self._handing = Handing(params)
        self._held = HeldEntries(params, lambda app_id: node_id in self._holders.of(app_id), counts)
        self._look_ups = Searches(params, self._holders, counts, self._send, self._output_event, self._note_look_up)
        self._askers = Askers(params)
        self._handers = Askers(params)
        self._counts = counts
        self._sweep: list[AppId] = []
        self._told: dict[AppId, tuple[NodeId, ...]] = {}
        """Of apps of whose homes nothing more is heard: to whom this node has handed on what it holds."""
        self._doubted: set[NodeId] = set()
        """Homes that began anew: what they said before they may not say again."""
        self._anew: set[NodeId] = set()
        self._moved = 0

    def count_held(self) -> int:
        """Apps that this node knows where to find for others."""
        return len(self._held)

    def count_own(self) -> int:
        """Apps of this node that others are told of: connected, or gone for not long."""
        return len(self._own)

    # what happens here

    def set_members(self, incarnations: Mapping[NodeId, int], now: float) -> None:
        """The other members that are up, with their incarnations: whose holders are others now is sent to them, in slices."""
        anew = self._holders.set_members(incarnations)
        if anew is None:
            return
        self._handing.keep_only(incarnations.keys())
        self._askers.tidy(incarnations.keys(), now)
        self._handers.tidy(incarnations.keys(), now)
        self._anew |= anew
        doubted = self._doubted | anew
        orphans = self._held.list_orphans(lambda home: home in doubted or not self._holders.is_up(home), self._is_orphan)
        self._doubted = {home for home in doubted if self._holders.is_up(home)} if orphans else set()
        self._told = {app_id: self._told.get(app_id, ()) for app_id in orphans}
        self._sweep = [*orphans, *self._own.app_ids]
        self._pump(now)

    def link_up(self, node_id: NodeId, now: float) -> None:
        """A new link to this member stands: what was sent over a former one, or over none, is sent again."""
        self._handing.retry(node_id)
        self._pump(now)

    def set_incarnation(self, incarnation: int) -> None:
        """This node goes on under a higher one."""
        self._own.set_incarnation(incarnation)

    def set_connected(self, claims: Mapping[AppId, AppClaim], now: float) -> None:
        """The apps that are connected here, each with its newest claim."""
        for app_id in self._own.set_connected(claims, now):
            known = self._held.find(app_id)
            if known is None or not self._hear_overtaken(known, now, late=True):
                self._spread(app_id)
        self._pump(now)

    def look_up(self, app_id: AppId, now: float) -> None:
        """Ends in one `Found`, for however many who ask meanwhile."""
        here = self._find_here(app_id)
        if here is None or here.home.node_id == self._node_id or self._node_id in self._holders.of(app_id):
            self._look_ups.begin(app_id, here, now)
        else:
            self._look_ups.begin(app_id, None, now, remnant=here)

    # what comes from others

    def receive(self, sender: NodeId, message: HomesMessage, now: float) -> None:
        """Over a link on which this member proved who it is."""
        match message:
            case HoldEntries():
                self._hold(sender, message, now)
            case EntriesHeld(number):
                self._own.note_accepted(self._handing.held(sender, number))
                self._pump(now)
            case FindEntry():
                self._answer(sender, message, now)
            case FindRefused():
                self._look_ups.hear_refusal(sender, message, now)
            case EntryFound():
                self._look_ups.receive(sender, message, now)
            case EntryOvertaken(entry):
                app = self._own.get(entry.app_id)
                self._hear_overtaken(entry, now, late=app is not None and not app.accepted)
            case _:
                assert_never(message)

    def _answer(self, asker: NodeId, question: FindEntry, now: float) -> None:
        wait_ms = self._askers.charge(asker, now)
        if not wait_ms:
            self._send(asker, EntryFound(question.number, self._find_here(question.app_id)))
            return
        self._send(asker, FindRefused(question.number, ErrorCode.HANDSHAKE_THROTTLED, wait_ms))
        self._output_event(AskerRefused(asker, wait_ms, self._askers.is_news(asker, now)))

    def _hold(self, sender: NodeId, message: HoldEntries, now: float) -> None:
        home = NodeName(sender, message.node_key)
        for signed in message.entries:
            entry = HomeEntry(home, signed)
            app_id = entry.app_id
            own = self._own.find_entry(app_id)
            if own is not None and own.outranks(entry):
                self._output.entries[EntryFate.OVERTAKEN] += 1
                self._send(sender, EntryOvertaken(own))
                continue
            if own is not None:
                self._hear_overtaken(entry, now, late=False)
            lost = self._held.take(entry, now)
            self._output.entries[self._judge(entry)] += 1
            if lost is not None and lost[0] != self._node_id:
                self._send(lost[0], EntryOvertaken(lost[1]))
        if self._take_handed(sender, message.handed_on, now):
            self._send(sender, EntriesHeld(message.number))

    def _take_handed(self, sender: NodeId, handed_on: Collection[HandedOn], now: float) -> bool:
        """Whether all was looked at: signatures cost, so a sender that hands on very much has to send it again later."""
        for of_one in handed_on:
            for aged in of_one.entries:
                entry = HomeEntry(of_one.home, aged.signed)
                if entry.home.node_id == self._node_id or self._held.holds(entry):
                    continue
                if self._handers.charge(sender, now):
                    return False
                self._hear_overtaken(entry, now, late=False)
                lost = self._held.take_handed(entry, sender, aged.age_s, now)
                self._output.entries[self._judge(entry)] += 1
                if lost is not None:
                    self._send(lost[0], EntryOvertaken(lost[1]))
        return True

    def _judge(self, entry: HomeEntry) -> EntryFate:
        """What became of one that was taken in just now."""
        held = self._held.find(entry.app_id)
        if held is None:
            return EntryFate.NO_ROOM
        return EntryFate.HELD if held.home == entry.home else EntryFate.OVERTAKEN

    def _hear_overtaken(self, entry: HomeEntry, now: float, *, late: bool) -> bool:
        """Somebody says that an app of this node has a newer home; whether it is so."""
        app_id = entry.app_id
        own = self._own.find_entry(app_id)
        if own is None or own.home == entry.home or not entry.outranks(own) or not self._is_right(entry, now):
            return False
        self._own.drop(app_id)
        self._output_event(Overtaken(app_id, entry, late))
        return True

    def _is_right(self, entry: HomeEntry, now: float) -> bool:
        return self._counts(entry.stamp, now) and entry.verify()

    def _find_here(self, app_id: AppId) -> HomeEntry | None:
        """The home answers for its own apps, a holder for what it holds."""
        own, held = self._own.find_entry(app_id), self._held.find(app_id)
        if own is None or held is None:
            return own or held
        return held if held.outranks(own) else own

    # what follows

    def _spread(self, app_id: AppId, *, only_new: bool = False) -> bool:
        """Its holders are to hear of an own app; `only_new`: those that have not, or began anew since. Whether any is."""
        app = self._own.get(app_id)
        if app is None:
            return self._hand_on(app_id)
        former, app.holders = app.holders, self._holders.others_of(app_id)
        told = [holder for holder in app.holders if not only_new or holder not in former or holder in self._anew]
        for holder in told:
            self._handing.want(holder, app_id)
        return bool(told)

    def _is_orphan(self, entry: HomeEntry) -> bool:
        """Whether its home tells new holders nothing of it: it is gone, or began anew and the app did not come again."""
        home = entry.home.node_id
        return not self._holders.is_up(home) or entry.presence.incarnation < self._holders.incarnation_of(home)

    def _hand_on(self, app_id: AppId) -> bool:
        """What is held of an app of whose home nothing more is heard: new holders hear of it from those that held it before."""
        former = self._told.get(app_id)
        if former is None:
            return False
        self._told[app_id] = holders = self._holders.others_of(app_id)
        told = [holder for holder in holders if holder not in former or holder in self._anew]
        for holder in told:
            self._handing.want(holder, app_id)
        return bool(told)

    def _find_handed(self, app_ids: Collection[AppId], now: float) -> tuple[HandedOn, ...]:
        """Of those among these apps of whose homes nothing was heard since, by home."""
        found: dict[NodeName, list[AgedEntry]] = {}
        for app_id in app_ids:
            aged = self._held.find_aged(app_id, now) if self._own.get(app_id) is None else None
            if aged is not None and self._is_orphan(aged[0]):
                found.setdefault(aged[0].home, []).append(AgedEntry(aged[0].signed, aged[1]))
        return tuple(HandedOn(home, tuple(entries)) for home, entries in found.items())

    def _pump(self, now: float) -> None:
        """Look up holders, and build messages, for a bounded number of apps; what is left is due at once."""
        for app_id in self._sweep[-self._params.swept_a_pass :]:
            self._moved += self._spread(app_id, only_new=True)
        del self._sweep[-self._params.swept_a_pass :]
        if not self._sweep:
            self._anew.clear()
            if self._moved:
                self._output_event(HoldersChanged(self._moved))
            self._moved = 0
        budget = self._params.words_a_pass
        while budget > 0 and (message := self._handing.take(budget, now)) is not None:
            holder, number, app_ids = message
            budget -= max(1, len(app_ids))
            entries = [entry.signed for entry in map(self._own.find_entry, app_ids) if entry is not None]
            handed_on = self._find_handed(app_ids, now) if self._told else ()
            self._output.entries[EntryFate.HANDED] += len(entries) + sum(len(of_one.entries) for of_one in handed_on)
            self._send(holder, HoldEntries(number, self._own.name.node_key, tuple(entries), handed_on))

    def _send(self, node_id: NodeId, message: HomesMessage) -> None:
        self._output.sends.append((node_id, message))

    def _note_look_up(self, ended: LookUpEnded) -> None:
        self._output.look_ups.append(ended)

    def _output_event(self, event: HomesEvent) -> None:
        self._output.events.append(event)

    # time

    def next_timer(self, now: float) -> float | None:
        """When `handle_timer` has something to do."""
        if self._sweep or self._handing.waits:
            return now
        parts: Collection[float | None] = (
            self._own.next_timer(),
            self._handing.next_timer(),
            self._held.next_timer(),
            self._look_ups.next_timer(),
        )
        return min((due for due in parts if due is not None), default=None)

    def handle_timer(self, now: float) -> None:
        self._look_ups.handle_timer(now)
        self._handing.handle_timer(now)
        self._held.expire(now, _LOOKED_AT)
        self._own.expire(now)
        for app_id in self._own.take_due(now, self._params.words_a_pass):
            self._spread(app_id)
        self._pump(now)

    def take_output(self) -> HomesOutput:
        output, self._output = self._output, HomesOutput()
        return output
