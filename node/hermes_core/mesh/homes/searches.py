"""Look-ups under way: holders are asked one after the other, until one has an entry by which the app is where it says.

Who is asked first changes from one look-up to the next: a holder that leaves out what it holds is not the first again. One
that says that it was asked too much comes last until it may be asked again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.entry import HomeEntry
from hermes_core.mesh.homes.holders import Holders
from hermes_core.mesh.homes.messages import EntryFound, FindEntry, FindRefused
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.values import dataclass

MAX_BUSY_S: Final = 60.0


class LookUpResult(StrEnum):
    """UNANSWERED: somebody who was asked did not answer, or too many were under way, and nobody else knew where the app is."""

    FOUND = "found"
    AWAY = "away"
    UNKNOWN = "unknown"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class LookUpEnded:
    """For whoever counts. `seconds`: since it began."""

    result: LookUpResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up came to. `entry`: the highest that anybody showed, verified; None: nobody has heard of the app.

    `online`: its home says that it is there, and is up. `complete`: nobody who was asked failed to answer.
    """

    app_id: AppId
    entry: HomeEntry | None
    online: bool
    complete: bool

    @property
    def result(self) -> LookUpResult:
        if self.online:
            return LookUpResult.FOUND
        if not self.complete:
            return LookUpResult.UNANSWERED
        return LookUpResult.UNKNOWN if self.entry is None else LookUpResult.AWAY


class _Search:
    __slots__ = ("app_id", "asked", "began_at", "best", "complete", "denied", "due_at", "number", "order", "remnant")

    def __init__(self, app_id: AppId, number: int, order: list[NodeId], remnant: HomeEntry | None, now: float) -> None:
        self.app_id = app_id
        self.began_at = now
        self.number = number
        self.order = order
        self.remnant = remnant
        self.asked: list[NodeId] = []
        self.best: HomeEntry | None = None
        self.denied: set[NodeId] = set()
        self.complete = True
        self.due_at = 0.0


class Searches:
    """The owner of them. `send` asks a node; `answer` and `note` take what came of one; `counts`: as for what is held."""

    def __init__(
        self,
        params: HomesParams,
        holders: Holders,
        counts: Callable[[int, float], bool],
        send: Callable[[NodeId, FindEntry], None],
        answer: Callable[[Found], None],
        note: Callable[[LookUpEnded], None],
    ) -> None:
        self._params = params
        self._holders = holders
        self._counts = counts
        self._send = send
        self._answer = answer
        self._note = note
        self._under_way: OrderedDict[int, _Search] = OrderedDict()  # who is to answer first comes first
        self._numbers: dict[AppId, int] = {}
        self._busy_until: dict[NodeId, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, app_id: AppId, here: HomeEntry | None, now: float, *, remnant: HomeEntry | None = None) -> None:
        """`here`: what this node has of the app itself. One that is looked for already is not looked for twice.

        `remnant`: what it has from when it was a holder; nobody tells it what is newer, so that it counts after all others.
        """
        if app_id in self._numbers:
            return
        if len(self._under_way) >= self._params.max_under_way:
            self._end(Found(app_id, None, online=False, complete=False), 0.0)
            return
        self._count += 1
        order = list(self._holders.others_of(app_id))
        turn = self._count % max(1, len(order))
        order = sorted(order[turn:] + order[:turn], key=lambda holder: self._busy_until.get(holder, now) > now)
        look_up = _Search(app_id, self._count, order, remnant, now)
        self._under_way[look_up.number] = look_up
        self._numbers[app_id] = look_up.number
        self._consider(look_up, here, now)
        self._go_on(look_up, now)

    def receive(self, sender: NodeId, message: EntryFound, now: float) -> None:
        """What nobody was asked is passed over, and so is what is not authentic."""
        look_up = self._under_way.get(message.number)
        if look_up is None or sender not in look_up.asked or sender in look_up.denied:
            return
        awaited = look_up.asked[-1] == sender
        if message.entry is None or not self._consider(look_up, message.entry, now):
            look_up.denied.add(sender)
        if awaited or self._is_settled(look_up):
            self._go_on(look_up, now)

    def hear_refusal(self, sender: NodeId, message: FindRefused, now: float) -> None:
        """As if it had not answered, and at once; it is asked last for a while, and no longer than it could keep silent."""
        look_up = self._under_way.get(message.number)
        if look_up is None or look_up.asked[-1] != sender:
            return
        self._busy_until = {holder: until for holder, until in self._busy_until.items() if until > now}
        self._busy_until[sender] = now + min(message.retry_after_ms / 1000, MAX_BUSY_S)
        look_up.complete = False
        self._go_on(look_up, now)

    def _consider(self, look_up: _Search, entry: HomeEntry | None, now: float) -> bool:
        """Whether it is an authentic entry of that app."""
        if entry is None or entry.app_id != look_up.app_id or not self._counts(entry.stamp, now) or not entry.verify():
            return False
        if look_up.best is None or entry.outranks(look_up.best):
            look_up.best = entry
        return True

    def _go_on(self, look_up: _Search, now: float) -> None:
        """Ask the next one, or say what came of it."""
        if not self._is_settled(look_up):
            if not look_up.order:
                self._consider(look_up, look_up.remnant, now)
                look_up.order = self._doubted_home(look_up)
            if look_up.order:
                holder = look_up.order.pop(0)
                look_up.asked.append(holder)
                look_up.due_at = now + self._params.answer_s
                self._under_way.move_to_end(look_up.number)
                self._send(holder, FindEntry(look_up.number, look_up.app_id))
                return
        del self._under_way[look_up.number], self._numbers[look_up.app_id]
        found = Found(look_up.app_id, look_up.best, self._is_settled(look_up), look_up.complete)
        self._end(found, now - look_up.began_at)

    def _end(self, found: Found, seconds: float) -> None:
        self._note(LookUpEnded(found.result, seconds))
        self._answer(found)

    def _is_settled(self, look_up: _Search) -> bool:
        """Nothing that anybody else could say is needed: the app is there, by its home's word of this run."""
        best = look_up.best
        return best is not None and self._is_online(look_up, best) and self._is_of_this_run(best)

    def _is_online(self, look_up: _Search, entry: HomeEntry) -> bool:
        home = entry.home.node_id
        return entry.presence.online and self._holders.is_up(home) and home not in look_up.denied

    def _is_of_this_run(self, entry: HomeEntry) -> bool:
        return entry.presence.incarnation >= self._holders.incarnation_of(entry.home.node_id)

    def _doubted_home(self, look_up: _Search) -> list[NodeId]:
        """A home that began anew since it said that the app is there: it is asked itself, once."""
        best = look_up.best
        if best is None or not self._is_online(look_up, best) or best.home.node_id in look_up.asked:
            return []
        return [best.home.node_id]

    # time

    def next_timer(self) -> float | None:
        first = next(iter(self._under_way.values()), None)
        return None if first is None else first.due_at

    def handle_timer(self, now: float) -> None:
        """Who does not answer is not waited for."""
        while self._under_way:
            look_up = next(iter(self._under_way.values()))
            if look_up.due_at > now:
                return
            look_up.complete = False
            self._go_on(look_up, now)
