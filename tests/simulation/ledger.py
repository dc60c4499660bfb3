"""Who sent what to whom, who got it, and how each chat ended, as apps see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hermes_client import Chat, Message, StateLostError
from hermes_core.errors import HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId

if TYPE_CHECKING:
    from tests.simulation.app_disk import KeptCursor
    from tests.simulation.schedule import ChatPlan, Operation

KEPT: Final = "what an app sent is kept"
PUT_BACK: Final = "a store that was put back is told, and no other is"

Report = Callable[[str, str], None]
"""Tells a violation: the invariant's name, and what happened."""


@dataclass(frozen=True)
class Forgotten:
    """What an app whose store was put back must be told, and the other one too: the first seqs that its store lacks, and the
    last ones that the other app is known to have had, or sent and can send no more.
    """

    by: AppId
    sent: tuple[int, int]
    received: tuple[int, int]

    def is_in(self, error: StateLostError, app_id: AppId) -> bool:
        """Whether the error of this app, either of the two, names all of it, and nothing that the store had."""
        sent, received = (error.sent, error.received) if app_id == self.by else (error.received, error.sent)
        return _covers(sent, self.sent) and _covers(received, self.received)


def _covers(told: range, lost: tuple[int, int]) -> bool:
    first, last = lost
    return told.start == first and told.stop > last if last >= first else not told or told.start == first


@dataclass
class ChatEntry:
    """One chat of the world. `handles` are the ends that live, by app; so is everything else of one end:

    `sent`: the seq of the latest message, `contents`: the number of what each seq holds, `received`: the latest seq that was
    handed over, `acknowledged`: the latest of which the other app has heard that it was taken.
    """

    plan: ChatPlan
    chat_id: ChatId
    apps: tuple[AppId, AppId]
    sent: dict[AppId, int] = field(default_factory=dict)
    contents: dict[AppId, dict[int, int]] = field(default_factory=dict)
    waiting: dict[AppId, int] = field(default_factory=dict)
    numbers: dict[AppId, int] = field(default_factory=dict)
    received: dict[AppId, int] = field(default_factory=dict)
    acknowledged: dict[AppId, int] = field(default_factory=dict)
    back: set[AppId] = field(default_factory=set)
    """Apps that have come back, and have had no message since."""
    begun: dict[str, int] = field(default_factory=dict)
    """By name of app: how many of its operations."""
    handles: dict[AppId, Chat] = field(default_factory=dict)
    ends: dict[AppId, str] = field(default_factory=dict)
    deleted: bool = False
    orphaned: bool = False
    put_back: list[Forgotten] = field(default_factory=list)
    losses: dict[AppId, list[StateLostError]] = field(default_factory=dict)

    def peer_of(self, app_id: AppId) -> AppId:
        return self.apps[1] if app_id == self.apps[0] else self.apps[0]

    def place(self, app_id: AppId) -> None:
        """The content that waits gets the next seq."""
        seq = self.sent[app_id] = self.sent.get(app_id, 0) + 1
        self.contents.setdefault(app_id, {})[seq] = self.waiting[app_id]

    def skip(self, app_id: AppId, last: int) -> None:
        """Its messages go on after this one; the one that waits as well."""
        if app_id in self.waiting:
            self.contents[app_id].pop(self.sent[app_id])
            self.sent[app_id] -= 1
        self.sent[app_id] = max(self.sent.get(app_id, 0), last)
        if app_id in self.waiting:
            self.place(app_id)


class Ledger:
    """`report` hears of what must not be."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.chats: dict[ChatId, ChatEntry] = {}
        self.errors: list[tuple[AppId, HermesError]] = []
        self.messages_received = 0

    # apps that die and come back

    def app_died(self, app_id: AppId, *, kept: bool) -> None:
        """Without a store its chats are lost with it, otherwise those which are not open; what the others are told of these
        is theirs to see.
        """
        for entry in self.chats.values():
            if app_id in entry.apps:
                handle = entry.handles.pop(app_id, None)
                if not kept or (handle is None and app_id not in entry.ends):
                    entry.orphaned = True
                entry.back.discard(app_id)

    def app_started(self, app_id: AppId, found: Mapping[ChatId, Chat]) -> None:
        """What it has found in its store."""
        for chat_id, chat in found.items():
            entry = self.chats[chat_id]
            entry.ends.pop(app_id, None)  # it had ended, and nobody has kept that
            entry.back.add(app_id)
            self._go_on(entry, app_id, chat.last_sent)

    def _go_on(self, entry: ChatEntry, app_id: AppId, last: int) -> None:
        """Its store says which of its messages is the latest: all of which `send` returned, and perhaps the one that waited."""
        waits = entry.waiting.pop(app_id, None) is not None
        promised, made = entry.sent.get(app_id, 0) - waits, entry.sent.get(app_id, 0)
        if not promised <= last <= made and not any(forgotten.by == app_id for forgotten in entry.put_back):
            self.report(KEPT, f"chat {entry.plan.number}: a store has {last} messages, and {promised} to {made} were sent")
        entry.sent[app_id] = last
        contents = entry.contents.get(app_id, {})
        for seq in [seq for seq in contents if seq > last]:
            del contents[seq]

    def put_back(self, app_id: AppId, cursors: Mapping[ChatId, KeptCursor]) -> None:
        """Its store is an older one, which says that it had come so far."""
        for entry in self.chats.values():
            if app_id not in entry.apps:
                continue
            cursor, peer = cursors.get(entry.chat_id), entry.peer_of(app_id)
            if cursor is None:
                entry.orphaned = True
                continue
            entry.waiting.pop(app_id, None)
            entry.put_back.append(
                Forgotten(
                    app_id,
                    (cursor.last_seq + 1, entry.acknowledged.get(peer, 0)),
                    (cursor.taken + 1, entry.acknowledged.get(app_id, 0)),
                )
            )

    def lost(self, app_id: AppId, error: StateLostError) -> None:
        """An app hears that a store was put back."""
        entry = self.chats[error.chat_id]
        entry.losses.setdefault(app_id, []).append(error)
        if not entry.put_back:
            self.report(PUT_BACK, f"chat {entry.plan.number}: {app_id} hears that a store was put back, and none was: {error}")
        if error.ours:
            entry.skip(app_id, error.sent.stop - 1)

    # chats

    def begun(self, plan: ChatPlan, chat_id: ChatId, initiator: AppId, acceptor: AppId) -> None:
        self.chats[chat_id] = ChatEntry(plan, chat_id, (initiator, acceptor))

    def joined(self, app_id: AppId, chat: Chat) -> None:
        self.chats[chat.chat_id].handles[app_id] = chat

    def left(self, app_id: AppId, chat: Chat) -> None:
        entry = self.chats[chat.chat_id]
        entry.handles.pop(app_id, None)
        entry.ends[app_id] = chat.ended.name if chat.ended is not None else "client closed"

    def deleting(self, chat_id: ChatId) -> None:
        self.chats[chat_id].deleted = True

    def operations_of(self, app: str, chat_id: ChatId) -> list[Operation]:
        """Those that it has not begun yet."""
        entry = self.chats[chat_id]
        return [operation for operation in entry.plan.operations if operation.by == app][entry.begun.get(app, 0) :]

    def begins(self, app: str, chat_id: ChatId) -> None:
        entry = self.chats[chat_id]
        entry.begun[app] = entry.begun.get(app, 0) + 1

    # messages

    def next_content(self, app_id: AppId, chat_id: ChatId, size: int) -> bytes:
        """The content of the next message, which its receiver can check; counted as sent from here on."""
        entry = self.chats[chat_id]
        number = entry.numbers[app_id] = entry.waiting[app_id] = entry.numbers.get(app_id, 0) + 1
        entry.place(app_id)
        return b"%d %s " % (number, app_id.encode()) + bytes(size)

    def sent(self, app_id: AppId, chat_id: ChatId, seq: int) -> None:
        """`send` has returned: that message outlives its app if there is a store."""
        entry = self.chats[chat_id]
        entry.waiting.pop(app_id, None)
        if seq != entry.sent[app_id]:
            self.report("exactly once, in order", f"{app_id} sent {seq} after {entry.sent[app_id] - 1}")

    def received(self, app_id: AppId, chat_id: ChatId, message: Message) -> None:
        """Exactly once, in order, from the other app of this chat; what an app had taken when it died, and had not
        acknowledged, once more.
        """
        entry = self.chats[chat_id]
        self.messages_received += 1
        number, sender, _ = message.content.split(b" ", 2)
        former, peer = entry.received.get(app_id, 0), entry.peer_of(app_id)
        first = entry.acknowledged.get(app_id, 0) + 1 if app_id in entry.back else former + 1
        entry.back.discard(app_id)
        if sender.decode() != peer:
            self.report("exactly once, in order", f"{app_id} got a message of {sender.decode()} in chat {entry.plan.number}")
        if not first <= message.seq <= former + 1:
            wrong = f"{app_id} got {message.seq} instead of {former + 1}"
            self.report("exactly once, in order", f"{wrong} in chat {entry.plan.number}")
        held = entry.contents.get(peer, {}).get(message.seq)
        if int(number) != held:
            wrong = f"{app_id} got content {int(number)} instead of {held}"
            self.report("exactly once, in order", f"{wrong} as message {message.seq} in chat {entry.plan.number}")
        entry.received[app_id] = message.seq

    def told(self, app_id: AppId, error: HermesError) -> None:
        self.errors.append((app_id, error))

    def live(self) -> list[ChatEntry]:
        """Chats with both ends."""
        return [entry for entry in self.chats.values() if len(entry.handles) == 2]


def code_of(error: HermesError) -> str:
    """For the trace."""
    return error.code.name if isinstance(error, ProtocolError) else type(error).__name__
