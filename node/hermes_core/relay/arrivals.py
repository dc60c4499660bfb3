"""Moves of chats that this node does not hold: an app that comes to stay, a new home that looks for its app's peer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol import messages as m
from hermes_core.relay.chat import Chat
from hermes_core.relay.context import ChatContext
from hermes_core.relay.live_chats import LiveChats
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour
from hermes_core.relay.past_chats import PastChats
from hermes_core.relay.rows import Row
from hermes_core.relay.tombstones import Tombstones, describe_delete

MAX_WANTED: Final = 4096
"""Chats whose app here was asked to move its side, or to say that it is over; of more the latest."""


class Arrivals:
    """The owner of who was asked for what."""

    def __init__(self, context: ChatContext, chats: LiveChats, past: PastChats, tombstones: Tombstones) -> None:
        self._context = context
        self._chats = chats
        self._past = past
        self._tombstones = tombstones
        self._wanted: OrderedDict[ChatId, tuple[AppId, Neighbour]] = OrderedDict()

    def receive(self, link: Link, offer: m.MoveOffer, now: float) -> None:
        """A move of a chat that is not here."""
        end = self._find_end(link, offer)
        if end is not None:
            self._context.effects.answer(link.neighbour, end)
        elif link.neighbour.node_id is not None:
            self._look_for(link, offer, now)
        else:
            self._admit(offer.move)
            row = Row(offer.chat_id, (link.neighbour, app_neighbour(offer.move.peer)))
            chat = Chat.move_in(self._context, row, link, offer, now)
            self._context.effects.output.moved.add(chat.chat_id)
            self._tombstones.forget(offer.chat_id)
            self._chats.add(chat)
            self._chats.touch(row)

    def _admit(self, move: SignedMove) -> None:
        """Before an app's chat is taken in: DRAINING, LIMIT_EXCEEDED."""
        admission = self._context.admission
        admission.check_open()
        admission.check_place(move.mover)

    def _find_end(self, link: Link, offer: m.MoveOffer) -> m.Closed | None:
        """How the chat ended here, for a move of it that comes too late.

        An app that comes with one which was idle here for too long shows that it was elsewhere meanwhile.
        """
        end = self._tombstones.find_end(offer.chat_id, (offer.move.mover, offer.move.peer))
        idle = end is not None and end.reason is m.CloseReason.EXPIRED
        return None if idle and link.neighbour.node_id is None else end

    def _look_for(self, link: Link, offer: m.MoveOffer, now: float) -> None:
        """A node looks for the other app of a chat that is not here: if the app is, it moves its side, or deletes the chat."""
        effects, peer = self._context.effects, app_neighbour(offer.move.peer)
        if peer in self._context.links:
            self._context.admission.charge_lookup((link.neighbour.node_id, offer.move.mover), now)
            self._wanted[offer.chat_id] = offer.move.peer, link.neighbour
            self._wanted.move_to_end(offer.chat_id)
            if len(self._wanted) > MAX_WANTED:
                self._wanted.popitem(last=False)
            effects.answer(peer, m.MoveWanted(offer.chat_id))
        else:
            for move in self._past.moves_of(offer.chat_id):
                if move.mover == offer.move.peer and move.home != link.party:
                    effects.answer(link.neighbour, m.Moved(offer.chat_id, move))
                    return
        effects.refuse_frame(link.neighbour, offer.chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))

    def take_delete(self, source: Neighbour, delete: m.Delete) -> bool:
        """The app that was asked has no such chat: whoever looked for it hears that it is over."""
        wanted = self._wanted.get(delete.chat_id)
        if wanted is None or wanted[0] != source.app_id:
            return False
        del self._wanted[delete.chat_id]
        self._context.effects.answer(wanted[1], describe_delete(delete))
        return True
