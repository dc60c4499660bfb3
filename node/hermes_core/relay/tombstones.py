"""What is left of ended chats: one notice to each other party, kept until it is acknowledged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import Notice, Tombstone
from hermes_core.protocol.messages import Closed, CloseReason, Delete
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.effects import Effects
from hermes_core.relay.events import NoticeDelivered
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.params import ChatParams


def describe_delete(delete: Delete) -> Closed:
    """How a chat ended that its app deletes, as the others hear it."""
    if delete.failed:
        return Closed(delete.chat_id, CloseReason.RATCHET_FAILED)
    return Closed(delete.chat_id, CloseReason.DELETED_BY_PEER, delete.proofs)


def receiver_of(notice: Notice) -> Neighbour:
    return Neighbour(notice.app_id, notice.node_id)


class Tombstones:
    """The owner of tombstones; they are kept in the order of their making, and never hold a secret."""

    def __init__(self, params: ChatParams, effects: Effects, calendar: Calendar) -> None:
        self._params = params
        self._calendar = calendar
        self._effects = effects
        self._tombstones: dict[ChatId, Tombstone] = {}
        self._by_receiver: dict[Neighbour, dict[ChatId, None]] = {}
        self._nodes: dict[NodeId, None] = {}

    def __contains__(self, chat_id: ChatId) -> bool:
        return chat_id in self._tombstones

    def __len__(self) -> int:
        return len(self._tombstones)

    @property
    def nodes(self) -> Collection[NodeId]:
        """Other nodes that have not acknowledged a notice."""
        return self._nodes.keys()

    def restore(self, tombstone: Tombstone) -> None:
        """Take up a stored tombstone; beyond the limit the oldest goes."""
        self._tombstones[tombstone.chat_id] = tombstone
        for notice in tombstone.notices:
            self._by_receiver.setdefault(receiver_of(notice), {})[tombstone.chat_id] = None
            if notice.node_id is not None:
                self._nodes[notice.node_id] = None
        if len(self._tombstones) > self._params.max_tombstones:
            self._drop(next(iter(self._tombstones.values())))

    def add(self, apps: tuple[AppId, AppId], end: Closed, receivers: tuple[Neighbour, ...], now: float) -> None:
        """A chat ended: keep a notice for each receiver, and tell those who are there."""
        chat_id = end.chat_id
        notices = tuple(Notice(receiver.app_id, receiver.node_id, end.reason) for receiver in receivers)
        if not notices:
            return
        tombstone = Tombstone(chat_id, notices, int(max(0.0, self._calendar.date(now))), apps, end.proofs)
        self.restore(tombstone)
        output = self._effects.output
        output.tombstone_puts[chat_id] = tombstone
        output.tombstone_deletes.discard(chat_id)
        for receiver in receivers:
            self._effects.answer(receiver, end)

    def find_closed(self, receiver: Neighbour, chat_id: ChatId) -> Closed | None:
        """What this neighbour hears again of an ended chat, until it has acknowledged it."""
        notice = self.find(receiver, chat_id)
        return None if notice is None else Closed(chat_id, notice.reason, self._tombstones[chat_id].proofs)

    def find(self, receiver: Neighbour, chat_id: ChatId) -> Notice | None:
        """What this neighbour has not acknowledged yet of an ended chat."""
        tombstone = self._tombstones.get(chat_id)
        if tombstone is not None:
            for notice in tombstone.notices:
                if receiver_of(notice) == receiver:
                    return notice
        return None

    def find_end(self, chat_id: ChatId, apps: tuple[AppId, AppId]) -> Closed | None:
        """How a chat of these apps ended, in whichever order; None as well for a chat of others, and for one given up here."""
        tombstone = self._tombstones.get(chat_id)
        if tombstone is None or not tombstone.notices or tombstone.app_ids not in (apps, apps[::-1]):
            return None
        end = Closed(chat_id, tombstone.notices[0].reason, tombstone.proofs)
        return end if end.final else None

    def forget(self, chat_id: ChatId) -> None:
        """The chat is here again: nobody need hear that this node gave it up. Harmless when there is nothing."""
        tombstone = self._tombstones.get(chat_id)
        if tombstone is not None:
            self._drop(tombstone)

    def send_all(self, receiver: Neighbour) -> None:
        """A neighbour is back: send again what it has not acknowledged."""
        for chat_id in self._by_receiver.get(receiver, ()):
            end = self.find_closed(receiver, chat_id)
            if end is not None:
                self._effects.answer(receiver, end)

    def acknowledge(self, receiver: Neighbour, chat_id: ChatId) -> None:
        """The notice arrived. Anything that was not waited for is of no consequence."""
        notice = self.find(receiver, chat_id)
        if notice is None:
            return
        tombstone = self._tombstones[chat_id]
        self._effects.report(NoticeDelivered(chat_id, notice.reason))
        rest = tuple(other for other in tombstone.notices if other is not notice)
        if not rest:
            self._drop(tombstone)
            return
        self._forget(receiver, chat_id)
        kept = replace(tombstone, notices=rest)
        self._tombstones[chat_id] = self._effects.output.tombstone_puts[chat_id] = kept

    def next_due(self) -> float | None:
        """When the oldest notice is given up."""
        oldest = next(iter(self._tombstones.values()), None)
        return None if oldest is None else self._calendar.moment(oldest.created_at_s + self._params.tombstone_ttl_s)

    def expire(self, now: float, limit: int) -> None:
        """Drop notices nobody came back for, at most `limit`."""
        while limit and (due := self.next_due()) is not None and due <= now:
            self._drop(next(iter(self._tombstones.values())))
            limit -= 1

    def _drop(self, tombstone: Tombstone) -> None:
        for notice in tombstone.notices:
            self._forget(receiver_of(notice), tombstone.chat_id)
        del self._tombstones[tombstone.chat_id]
        output = self._effects.output
        output.tombstone_puts.pop(tombstone.chat_id, None)
        output.tombstone_deletes.add(tombstone.chat_id)

    def _forget(self, receiver: Neighbour, chat_id: ChatId) -> None:
        chats = self._by_receiver[receiver]
        chats.pop(chat_id, None)
        if not chats:
            del self._by_receiver[receiver]
            if receiver.node_id is not None:
                del self._nodes[receiver.node_id]
