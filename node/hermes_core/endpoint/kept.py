"""What an app's chats want kept: records that are written or deleted before anything of the same output leaves."""

from __future__ import annotations

from dataclasses import field

from hermes_core.ids import ChatId
from hermes_core.keystore.app_record import AppChatRecord, EndedChatRecord, OutgoingRecord
from hermes_core.values import dataclass

MessageKey = tuple[ChatId, int]


@dataclass(slots=True)
class KeptChanges:
    """One commit. Nothing is both written and deleted."""

    chats: dict[ChatId, AppChatRecord] = field(default_factory=dict)
    messages: dict[MessageKey, OutgoingRecord] = field(default_factory=dict)
    ended: set[ChatId] = field(default_factory=set)
    acknowledged: set[MessageKey] = field(default_factory=set)
    owed: dict[ChatId, EndedChatRecord] = field(default_factory=dict)
    told: set[ChatId] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.chats or self.messages or self.ended or self.acknowledged or self.owed or self.told)

    def keep_chat(self, record: AppChatRecord) -> None:
        """In place of what was to be kept of it, which is wiped."""
        former = self.chats.get(record.chat_id)
        if former is not None:
            former.wipe()
        self.chats[record.chat_id] = record

    def end_chat(self, chat_id: ChatId) -> None:
        former = self.chats.pop(chat_id, None)
        if former is not None:
            former.wipe()
        self.ended.add(chat_id)

    def keep_message(self, record: OutgoingRecord) -> None:
        self.messages[record.chat_id, record.seq] = record

    def drop_message(self, chat_id: ChatId, seq: int) -> None:
        self.messages.pop((chat_id, seq), None)
        self.acknowledged.add((chat_id, seq))

    def owe(self, record: EndedChatRecord) -> None:
        """Its home has not said that it knows of its end."""
        self.owed[record.chat_id] = record

    def settle(self, chat_id: ChatId) -> None:
        """Now it has."""
        self.owed.pop(chat_id, None)
        self.told.add(chat_id)

    def add(self, later: KeptChanges) -> None:
        """Both in one commit: what came later counts."""
        for record in later.chats.values():
            self.keep_chat(record)
        self.messages.update(later.messages)
        for chat_id in later.ended:
            self.end_chat(chat_id)
        for chat_id, seq in later.acknowledged:
            self.drop_message(chat_id, seq)
        self.owed.update(later.owed)
        for chat_id in later.told:
            self.settle(chat_id)

    def wipe(self) -> None:
        """Wipe every secret: it was written, or never will be."""
        for record in self.chats.values():
            record.wipe()
