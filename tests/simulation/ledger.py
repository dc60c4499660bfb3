"""Who sent what to whom, who got it, and how each chat ended, as apps see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hermes_client import Chat
from hermes_core.errors import HermesError, ProtocolError
from hermes_core.ids import AppId, ChatId

if TYPE_CHECKING:
    from tests.simulation.schedule import ChatPlan, Operation

Report = Callable[[str, str], None]
"""Tells a violation: the invariant's name, and what happened."""


@dataclass
class ChatEntry:
    """One chat of the world. `sent` and `received` count per app; `handles` are the ends that live, by app."""

    plan: ChatPlan
    chat_id: ChatId
    apps: tuple[AppId, AppId]
    sent: dict[AppId, int] = field(default_factory=dict)
    received: dict[AppId, int] = field(default_factory=dict)
    handles: dict[AppId, Chat] = field(default_factory=dict)
    ends: dict[AppId, str] = field(default_factory=dict)
    deleted: bool = False
    orphaned: bool = False

    def peer_of(self, app_id: AppId) -> AppId:
        return self.apps[1] if app_id == self.apps[0] else self.apps[0]


class Ledger:
    """`report` hears of what must not be."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.chats: dict[ChatId, ChatEntry] = {}
        self.errors: list[tuple[AppId, HermesError]] = []
        self.messages_received = 0

    def app_started(self, app_id: AppId, starts: int) -> None:
        pass

    def app_died(self, app_id: AppId) -> None:
        """Its chats are lost with it; what the others are told of them is theirs to see."""
        for entry in self.chats.values():
            if app_id in entry.apps:
                entry.orphaned = True
                entry.handles.pop(app_id, None)

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
        return [operation for operation in self.chats[chat_id].plan.operations if operation.by == app]

    def next_content(self, app_id: AppId, chat_id: ChatId, size: int) -> bytes:
        """The content of the next message, which its receiver can check; counted as sent from here on."""
        entry = self.chats[chat_id]
        number = entry.sent[app_id] = entry.sent.get(app_id, 0) + 1
        return b"%d %s " % (number, app_id.encode()) + bytes(size)

    def received(self, app_id: AppId, chat_id: ChatId, content: bytes) -> None:
        """Exactly once, in order, from the other app of this chat."""
        entry = self.chats[chat_id]
        self.messages_received += 1
        number, sender, _ = content.split(b" ", 2)
        expected = entry.received.get(app_id, 0) + 1
        if sender.decode() != entry.peer_of(app_id):
            self.report("exactly once, in order", f"{app_id} got a message of {sender.decode()} in chat {entry.plan.number}")
        if int(number) != expected:
            wrong = f"{app_id} got {int(number)} instead of {expected}"
            self.report("exactly once, in order", f"{wrong} in chat {entry.plan.number}")
        entry.received[app_id] = int(number)

    def told(self, app_id: AppId, error: HermesError) -> None:
        self.errors.append((app_id, error))

    def live(self) -> list[ChatEntry]:
        """Chats with both ends."""
        return [entry for entry in self.chats.values() if len(entry.handles) == 2]


def code_of(error: HermesError) -> str:
    """For the trace."""
    return error.code.name if isinstance(error, ProtocolError) else type(error).__name__
