"""The chats that live on a node: the only place where one changes, and the only one that settles what a change means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from hermes_core.ids import ChatId
from hermes_core.relay.chat import Chat
from hermes_core.relay.context import ChatContext
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.past_chats import PastChats
from hermes_core.relay.rows import Row
from hermes_core.relay.standing import ChatEnd

P = ParamSpec("P")
R = TypeVar("R")


class LiveChats:
    """The owner of the chats, and of which of them are to be settled, may be stored early, or look for an app's home.

    `by_id` is there to be looked at; a chat changes through `change`, or is touched.
    """

    def __init__(self, context: ChatContext, past: PastChats) -> None:
        self._index = context.index
        self._links = context.links
        self._effects = context.effects
        self._past = past
        self.by_id: dict[ChatId, Chat] = {}
        self._touched: list[Row] = []
        self._early: dict[ChatId, Row] = {}
        self._seeking: dict[ChatId, Row] = {}

    def find_hop(self, source: Neighbour, chat_id: ChatId | None) -> tuple[Row | None, int | None]:
        """The row of a chat and the hop at which `source` has a say in it: whoever bears its name with another key has none."""
        row = self._index.find(chat_id)
        index = row.index_of(source) if row is not None else None
        if row is not None and index is not None:
            link, chat = self._links.get(source), self.by_id[row.chat_id]
            if link is None or chat.hops[index].channel.peer != link.party:
                index = None
        return row, index

    def change(
        self, row: Row, now: float, change: Callable[Concatenate[Chat, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """Let a chat change itself; everything but a plain relayed frame goes through here.

        A chat that ended is removed at once, any other is settled when output is taken. None for a chat that is gone.
        """
        chat = self.by_id.get(row.chat_id)
        if chat is None or chat.row is not row:
            return None
        try:
            return change(chat, *args, **kwargs)
        finally:
            if chat.ended is None:
                self.touch(row)
            else:
                self._remove(chat, chat.ended, now)

    def add(self, chat: Chat) -> None:
        self.by_id[chat.chat_id] = chat
        self._index.add(chat.row)

    def _remove(self, chat: Chat, end: ChatEnd, now: float) -> None:
        """The record goes."""
        del self.by_id[chat.chat_id]
        self._index.remove(chat.row)
        chat.wipe()
        if chat.standing.stored:
            self._effects.output.deletes.add(chat.chat_id)
            if end.reason is None:
                self._effects.output.moved.add(chat.chat_id)
        self._seeking.pop(chat.chat_id, None)
        self._past.add(chat, end, now)

    def touch(self, row: Row) -> None:
        if row.touch():
            self._touched.append(row)

    def look_again(self, now: float) -> None:
        """Who moved here, and looks for the other app's home, may find it now. When the timers fire, so many in one pass."""
        for row in list(self._seeking.values()):
            self.change(row, now, Chat.look_again, now)

    def settle(self, *, busy: bool) -> None:
        """Whatever was touched since the last call; `busy` as in `NodeChats.take_output`."""
        touched, self._touched = self._touched, []
        for row in touched:
            row.settled()
            chat = self.by_id.get(row.chat_id)
            if chat is not None and chat.row is row:
                self._settle(chat)
        if self._early and (self._effects.output.needs_commit or not busy):
            self._put_early()

    def _settle(self, chat: Chat) -> None:
        """What became of a chat since output was last taken: tell the paths, store it, set the timer."""
        row, output = chat.row, self._effects.output
        chat.tell_paths()
        if chat.standing.stored:
            if chat.dirty:
                output.puts[row.chat_id] = chat.build_record()
                output.deletes.discard(row.chat_id)
                row.note_put(output.number)
            elif chat.early:
                self._early[row.chat_id] = row
        self._index.schedule(row, chat.next_timer())
        if chat.moves.search.at is not None:
            self._seeking[row.chat_id] = row
        else:
            self._seeking.pop(row.chat_id, None)

    def _put_early(self) -> None:
        """Store what nothing depends on yet."""
        waiting, self._early = self._early, {}
        output = self._effects.output
        output.note_early()
        for row in waiting.values():
            chat = self.by_id.get(row.chat_id)
            if chat is not None and chat.row is row and chat.early:
                output.puts[row.chat_id] = chat.build_record()
                row.note_early_put(output.number)
