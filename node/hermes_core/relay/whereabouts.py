"""Who waits to hear where an app is: offers to apps that are not known, questions of apps, chats that look for somebody.

Each app is asked for once at a time, in the mesh; what waits for the answer is bounded, in number and time.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import Offer
from hermes_core.relay.effects import Effects
from hermes_core.relay.neighbour import Link, Neighbour, StreamId
from hermes_core.relay.route_waits import forget_one

MAX_WAITING: Final = 4096
"""Offers, and questions, each; of one app an eighth of them."""
MAX_WAITING_OF_ONE: Final = MAX_WAITING // 8
ANSWER_S: Final = 6.0
"""The mesh answers within four seconds, whatever becomes of whom it asks; this is for when it does not."""
RETRY_LATER_MS: Final = 1000


class HeldOffer(NamedTuple):
    """`link`: the stream that brought it; when that is gone nobody waits for it."""

    link: Link
    offer: Offer


class Whereabouts:
    """The owner of both. Who asked first is answered first."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._asked: OrderedDict[AppId, float] = OrderedDict()
        self._offers: dict[AppId, list[HeldOffer]] = {}
        self._questions: dict[AppId, list[StreamId]] = {}
        self._held: Counter[tuple[Neighbour, ChatId]] = Counter()
        self._waiting: dict[object, int] = {}
        self._total = 0

    def ask(self, app_id: AppId, now: float) -> None:
        """Where is it? `NodeOutput.look_ups` says so, unless it is asked for already."""
        if app_id not in self._asked:
            self._asked[app_id] = now
            self._effects.look_up(app_id)

    def hold_offer(self, link: Link, offer: Offer, now: float) -> None:
        """LIMIT_EXCEEDED, with a wait, when too many wait."""
        self._take_place(link.neighbour)
        self._offers.setdefault(offer.target, []).append(HeldOffer(link, offer))
        self._held[link.neighbour, offer.chat_id] += 1
        self.ask(offer.target, now)

    def hold_question(self, stream: StreamId, app_id: AppId, now: float) -> None:
        """The same, of an app on this stream."""
        self._take_place(stream)
        self._questions.setdefault(app_id, []).append(stream)
        self.ask(app_id, now)

    def _take_place(self, holder: object) -> None:
        if self._total >= MAX_WAITING or self._waiting.get(holder, 0) >= MAX_WAITING_OF_ONE:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "too many look-ups are under way", retry_after_ms=RETRY_LATER_MS)
        self._waiting[holder] = self._waiting.get(holder, 0) + 1
        self._total += 1

    def _give_back(self, holder: object) -> None:
        self._total -= 1
        self._waiting[holder] -= 1
        if not self._waiting[holder]:
            del self._waiting[holder]

    def take(self, app_id: AppId) -> tuple[list[HeldOffer], list[StreamId]]:
        """The look-up of this app has ended: what waited for it."""
        self._asked.pop(app_id, None)
        offers, questions = self._offers.pop(app_id, []), self._questions.pop(app_id, [])
        for waiting in offers:
            self._let_go(waiting)
        for stream in questions:
            self._give_back(stream)
        return offers, questions

    def withdraw(self, neighbour: Neighbour, chat_id: ChatId) -> bool:
        """The app does not want this chat any more; whether an offer of it waited."""
        waited = (neighbour, chat_id) in self._held
        if waited:
            self._drop(lambda waiting: waiting.link.neighbour == neighbour and waiting.offer.chat_id == chat_id)
        return waited

    def lose(self, neighbour: Neighbour) -> None:
        """Its stream is gone: its offers are for nobody."""
        if neighbour in self._waiting:
            self._drop(lambda waiting: waiting.link.neighbour == neighbour)

    def _drop(self, is_void: Callable[[HeldOffer], bool]) -> None:
        for app_id in list(self._offers):
            void = [waiting for waiting in self._offers[app_id] if is_void(waiting)]
            for waiting in void:
                self._let_go(waiting)
                self._offers[app_id].remove(waiting)
            if not self._offers[app_id]:
                del self._offers[app_id]

    def _let_go(self, waiting: HeldOffer) -> None:
        self._give_back(waiting.link.neighbour)
        forget_one(self._held, (waiting.link.neighbour, waiting.offer.chat_id))

    def next_due(self) -> float | None:
        first = next(iter(self._asked.values()), None)
        return None if first is None else first + ANSWER_S

    def find_due(self, now: float) -> AppId | None:
        """An app of which the mesh said nothing in time."""
        first = next(iter(self._asked.items()), None)
        return first[0] if first is not None and first[1] + ANSWER_S <= now else None
