"""Chats that are over here, or at home elsewhere: what their neighbours hear, and which ids no new chat may have."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import ChatId
from hermes_core.protocol import messages as m
from hermes_core.protocol.ended import EndedChats
from hermes_core.relay.chat import Chat
from hermes_core.relay.effects import Effects
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.rows import LATE_S
from hermes_core.relay.standing import ChatEnd
from hermes_core.relay.tombstones import Tombstones

MAX_REMEMBERED_ENDS: Final = 65_536
"""Ended chats, in memory, whose first offer is not taken for a new chat; a hundred bytes each."""
MAX_REMEMBERED_MOVES: Final = 4096
"""Ended chats whose moves are known, in memory; of more the latest."""


class PastChats:
    """The owner of what is remembered of them in memory; `tombstones` own what is stored."""

    def __init__(self, effects: Effects, tombstones: Tombstones) -> None:
        self._effects = effects
        self._tombstones = tombstones
        self._ended = EndedChats(MAX_REMEMBERED_ENDS)
        self._moves: OrderedDict[ChatId, tuple[SignedMove, ...]] = OrderedDict()

    def __contains__(self, chat_id: ChatId) -> bool:
        return chat_id in self._tombstones or chat_id in self._ended

    def add(self, chat: Chat, end: ChatEnd, now: float) -> None:
        """A chat is over here: everyone who does not know is told."""
        receivers = tuple(neighbour for index, neighbour in enumerate(chat.row.neighbours) if index not in end.silent)
        if end.reason is not None:
            self._tombstones.add(chat.hops.app_ids, m.Closed(chat.chat_id, end.reason, end.proofs), receivers, now)
        signed = tuple(move for move in chat.moves.signed.pair if move is not None)
        if signed:
            self._moves[chat.chat_id] = signed
            if len(self._moves) > MAX_REMEMBERED_MOVES:
                self._moves.popitem(last=False)
        self._ended.add(chat.chat_id, now)

    def add_withdrawn(self, chat_id: ChatId, now: float) -> None:
        """Its app ended it before anything was passed on: there is nobody to tell."""
        self._ended.add(chat_id, now)

    def ended_lately(self, chat_id: ChatId, now: float) -> bool:
        """As `Row.changed_lately`."""
        ended_at = self._ended.find(chat_id)
        return ended_at is not None and now < ended_at + LATE_S

    def moves_of(self, chat_id: ChatId) -> tuple[SignedMove, ...]:
        """Where its apps went, as far as that is known."""
        return self._moves.get(chat_id, ())

    def answer_former(self, source: Neighbour, chat_id: ChatId) -> bool:
        """Whether a node that takes itself for a neighbour of this chat was told that it is none any more."""
        if source.node_id is None or self._tombstones.find(source, chat_id) is not None:
            return False
        moves = self.moves_of(chat_id)
        for move in moves:
            self._effects.answer(source, m.Moved(chat_id, move))
        if moves:  # what it knows may be newer than that, and all the same there is nothing here that it could resume
            self._effects.refuse_frame(source, chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
        return bool(moves)

    def refuse(self, source: Neighbour, chat_id: ChatId) -> None:
        """One answer for chats that are not here and chats of others; a party of an ended chat hears its end again."""
        end = self._tombstones.find_closed(source, chat_id)
        if end is not None:
            self._effects.answer(source, end)
        else:
            self._effects.refuse(source, chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
