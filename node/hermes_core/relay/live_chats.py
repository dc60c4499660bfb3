"""The chats that live on a node: the only place where one changes, and the only one that settles what a change means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from hermes_core.ids import AppId, ChatId, Party
from hermes_core.keystore.chat_record import ChatRecord
from hermes_core.relay.chat import Chat
from hermes_core.relay.context import ChatContext
from hermes_core.relay.neighbour import Neighbour, app_neighbour, node_neighbour
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
        self._context = context
        self._past = past
        self.by_id: dict[ChatId, Chat] = {}
        self._touched: list[Row] = []
        self._early: dict[ChatId, Row] = {}
        self._seeking: dict[ChatId, tuple[Row, AppId | None]] = {}
        self._seekers: dict[AppId | None, dict[ChatId, Row]] = {}

    def restore(self, record: ChatRecord, now: float, *, keys_in_doubt: bool) -> None:
        """Take up what the keystore held of one chat; the record is wiped. `keys_in_doubt`: as in `NodeChats.restore`."""
        context, party = self._context, self._context.party
        row = Row(record.chat_id, (_stored_neighbour(record, 0, party), _stored_neighbour(record, 1, party)))
        chat = Chat.restore(context, row, record, now, keys_in_doubt=keys_in_doubt)
        if any(side.local != party for side in record.sides):  # our key is new: its hops are to be made anew
            chat.standing.note_change()
            context.effects.output.moved.add(record.chat_id)
            self.touch(row)
        record.wipe()
        self.add(chat)
        context.index.schedule(row, chat.next_timer())

    def find_hop(self, source: Neighbour, chat_id: ChatId | None) -> tuple[Row | None, int | None]:
        """The row of a chat and the hop at which `source` has a say in it: whoever bears its name with another key has none."""
        row = self._context.index.find(chat_id)
        index = row.index_of(source) if row is not None else None
        if row is not None and index is not None:
            link, chat = self._context.links.get(source), self.by_id[row.chat_id]
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
        way = chat.hops.way
        try:
            return change(chat, *args, **kwargs)
        finally:
            if chat.ended is None:
                self.touch(row)
                if chat.hops.way != way:
                    row.note_change(now)
            else:
                self._remove(chat, chat.ended, now)

    def change_all(self, now: float, change: Callable[Concatenate[Chat, P], R], *args: P.args, **kwargs: P.kwargs) -> None:
        """As `change`, every chat that lives."""
        for row in self._context.index:
            self.change(row, now, change, *args, **kwargs)

    def add(self, chat: Chat) -> None:
        self.by_id[chat.chat_id] = chat
        self._context.index.add(chat.row)

    def _remove(self, chat: Chat, end: ChatEnd, now: float) -> None:
        """The record goes."""
        del self.by_id[chat.chat_id]
        self._context.index.remove(chat.row)
        chat.wipe()
        if chat.standing.stored:
            self._context.effects.output.deletes.add(chat.chat_id)
            if end.reason is None:
                self._context.effects.output.moved.add(chat.chat_id)
        self._note_seeking(chat.row, None)
        self._past.add(chat, end, now)

    def touch(self, row: Row) -> None:
        if row.touch():
            self._touched.append(row)

    def look_again(self, now: float) -> None:
        """Who moved here, and looks for the other app's home, may find it now. When the timers fire, so many in one pass."""
        for row, _ in list(self._seeking.values()):
            self.change(row, now, Chat.look_again, now)

    def look_again_for(self, app_id: AppId, now: float) -> None:
        """The same, of those that look for this app: where it is has become known."""
        for row in list(self._seekers.get(app_id, {}).values()):
            self.change(row, now, Chat.look_again, now)

    def _note_seeking(self, row: Row, chat: Chat | None) -> None:
        """For which app this chat looks; None: for nobody."""
        former = self._seeking.pop(row.chat_id, None)
        if former is not None:
            seekers = self._seekers[former[1]]
            del seekers[row.chat_id]
            if not seekers:
                del self._seekers[former[1]]
        if chat is not None:
            missing = chat.moves.search.missing
            self._seeking[row.chat_id] = row, missing
            self._seekers.setdefault(missing, {})[row.chat_id] = row

    def settle(self, *, busy: bool) -> None:
        """Whatever was touched since the last call; `busy` as in `NodeChats.take_output`."""
        touched, self._touched = self._touched, []
        for row in touched:
            row.settled()
            chat = self.by_id.get(row.chat_id)
            if chat is not None and chat.row is row:
                self._settle(chat)
        if self._early and (self._context.effects.output.needs_commit or not busy):
            self._put_early()

    def _settle(self, chat: Chat) -> None:
        """What became of a chat since output was last taken: tell the paths, store it, set the timer."""
        row, output = chat.row, self._context.effects.output
        chat.tell_paths()
        if chat.standing.stored:
            if chat.dirty:
                output.puts[row.chat_id] = chat.build_record()
                output.deletes.discard(row.chat_id)
                row.note_put(output.number)
            elif chat.early:
                self._early[row.chat_id] = row
        self._context.index.schedule(row, chat.next_timer())
        if chat.moves.search.at is not None or row.chat_id in self._seeking:
            self._note_seeking(row, chat if chat.moves.search.at is not None else None)

    def _put_early(self) -> None:
        """Store what nothing depends on yet."""
        waiting, self._early = self._early, {}
        output = self._context.effects.output
        output.note_early()
        for row in waiting.values():
            chat = self.by_id.get(row.chat_id)
            if chat is not None and chat.row is row and chat.early:
                output.puts[row.chat_id] = chat.build_record()
                row.note_early_put(output.number)


def _stored_neighbour(record: ChatRecord, index: int, party: Party) -> Neighbour:
    """A hop of before our key was renewed leads nowhere any more."""
    node_id = None if record.sides[index].local != party else record.side_nodes[index]
    return app_neighbour(record.app_ids[index]) if node_id is None else node_neighbour(node_id)
