"""Offers at a node: a first one starts a chat, once its target is found and a stream leads there; any other rekeys one.

Until there is a chat, an offer waits here, or is refused to whoever made it, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId, NodeId, derive_app_id
from hermes_core.protocol import messages as m
from hermes_core.relay.chat import Chat
from hermes_core.relay.context import ChatContext
from hermes_core.relay.events import HandshakeFailed
from hermes_core.relay.live_chats import LiveChats
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.past_chats import PastChats
from hermes_core.relay.route_waits import NoStreamError, RouteWaits, WaitingOffer
from hermes_core.relay.rows import Row
from hermes_core.relay.whereabouts import HeldOffer


class IncomingOffers:
    """The owner of those that wait for a stream; those that wait for word of their target are the context's."""

    def __init__(self, context: ChatContext, chats: LiveChats, past: PastChats) -> None:
        self._context = context
        self._links = context.links
        self._effects = context.effects
        self._admission = context.admission
        self._directory = context.directory
        self._whereabouts = context.whereabouts
        self._chats = chats
        self._past = past
        self._waits = RouteWaits()

    def receive(self, source: Neighbour, offer: m.Offer, now: float, *, waited: bool = False, dialled: bool = False) -> None:
        """A first offer starts a chat, any other rekeys one. Refusals go back to the offering side alone.

        `waited`: until it was known where its target is, after it was charged; `dialled`: for a stream to that node as well.
        """
        first = offer.end_to_end.epoch == 1
        row, index = self._chats.find_hop(source, offer.chat_id)
        try:
            if first:
                self._start_chat(source, offer, now, waited=waited)
            elif row is None or index is None:
                raise ProtocolError(ErrorCode.CHAT_NOT_FOUND)  # noqa: TRY301
            else:
                self._chats.change(row, now, Chat.receive, index, offer, now)
        except ProtocolError as error:
            if isinstance(error, NoStreamError):
                self._effects.want(error.node_id)
                may_wait = self._effects.dials_on_demand and not dialled
                if may_wait and self._waits.hold(error.node_id, self._links[source], offer, now):
                    return
            self._fail(source, offer, error)
            self._effects.charge_unproven(source, error)

    # what waits

    def look_up_ended(self, held: Iterable[HeldOffer], now: float, *, answered: bool) -> None:
        """These waited for word of their target. `answered`: something is known of it, if only that nobody has heard of it."""
        for link, offer in held:
            if answered:
                self.receive(link.neighbour, offer, now, waited=True)
            else:
                detail = "none of the nodes that would know where the app is answered"
                self._fail(link.neighbour, offer, ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, detail))

    def node_linked(self, node_id: NodeId, now: float) -> None:
        """A stream to this node stands."""
        for waiting in self._waits.take(node_id):
            if self._links.get(waiting.link.neighbour) is waiting.link:
                self.receive(waiting.link.neighbour, waiting.offer, now, waited=True, dialled=True)

    def node_unreachable(self, node_id: NodeId) -> None:
        """A stream that was wanted cannot be had now: what waits for it is refused."""
        self._refuse_waiting(self._waits.take(node_id))

    def next_due(self) -> float | None:
        return self._waits.next_due()

    def handle_timer(self, now: float) -> None:
        """What has waited for a stream long enough is refused."""
        self._refuse_waiting(self._waits.take_due(now))

    def _refuse_waiting(self, offers: list[WaitingOffer]) -> None:
        for waiting in offers:
            if self._links.get(waiting.link.neighbour) is waiting.link:
                error = ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no stream to the target's node")
                self._fail(waiting.link.neighbour, waiting.offer, error)

    def withdraw(self, source: Neighbour, chat_id: ChatId, now: float) -> bool:
        """Whether an offer of this app waited, for word of its target or for a stream: nothing comes of it any more.

        The app hears what it hears of any chat of its own that it deletes, which is nothing: this one is over.
        """
        waited = self._whereabouts.withdraw(source, chat_id) | self._waits.withdraw(source, chat_id)
        if waited:
            self._past.add_withdrawn(chat_id, now)
        return waited

    # refusals

    def _fail(self, source: Neighbour, offer: m.Offer, error: ProtocolError) -> None:
        rekey, here = offer.end_to_end.epoch != 1, source.node_id is None
        self._effects.report(HandshakeFailed(offer.chat_id, error.code, rekey=rekey, offered_here=here))
        self._refuse(source, offer, error)

    def _refuse(self, source: Neighbour, offer: m.Offer, error: ProtocolError) -> None:
        """An app learns why, and when to try again; a refused rekey, and any refusal to another node, is a rejection."""
        first = offer.end_to_end.epoch == 1
        if not first and error.code is ErrorCode.CHAT_NOT_FOUND:
            self._past.refuse(source, offer.chat_id)
        elif source.node_id is None and (first or error.retry_after_ms):
            self._effects.refuse_frame(source, offer.chat_id, error)
        else:
            self._effects.answer(source, m.Reject(offer.chat_id, error.code, error.retry_after_ms))

    def _start_chat(self, source: Neighbour, offer: m.Offer, now: float, *, waited: bool) -> None:
        """Everything that costs nothing is checked before anything that does."""
        self._admission.check_open()
        if offer.chat_id in self._context.index or offer.chat_id in self._past:
            raise ProtocolError(ErrorCode.CHAT_EXISTS)
        initiator = derive_app_id(offer.initiator_key)
        if source.node_id is None and initiator != source.app_id:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "initiator_key is not the connected app's")
        if initiator == offer.target:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "an app cannot chat with itself")
        maker = source.node_id, initiator
        if not waited:
            self._admission.charge_handshake(maker, now)  # for whoever it asks
            if source.node_id is None and not self._directory.is_found(offer.target, now):
                self._admission.charge_stranger(maker, now)
                self._whereabouts.hold_offer(self._links[source], offer, now)
                return
        target = self._directory.find_route(source, offer.target)
        self._admission.check_room(maker, offer.target)
        gives_way = self._context.index.find(self._admission.offers.find_to_give_way(maker, offer.target))
        if gives_way is not None:
            self._chats.change(gives_way, now, Chat.refuse_offer)
        row = Row(offer.chat_id, (source, target.neighbour))
        self._chats.add(Chat.begin(self._context, row, (self._links[source], target), offer, now))
        self._chats.touch(row)
