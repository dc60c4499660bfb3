"""What an app's chats want kept, as bytes of its records in a dict: a store without a file, to copy and to put back."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.endpoint.kept import KeptChanges
from hermes_core.endpoint.router import AppChats
from hermes_core.ids import ChatId
from hermes_core.keystore.app_notice_codec import encode_app_ended, parse_app_ended
from hermes_core.keystore.app_record_codec import encode_app_chat, encode_outgoing, parse_app_chat, parse_outgoing


@dataclass
class AppVolume:
    chats: dict[ChatId, bytes] = field(default_factory=dict)
    messages: dict[tuple[ChatId, int], bytes] = field(default_factory=dict)
    ended: dict[ChatId, bytes] = field(default_factory=dict)

    def commit(self, changes: KeptChanges | None) -> None:
        if changes is None:
            return
        for chat_id, record in changes.chats.items():
            self.chats[chat_id] = bytes(encode_app_chat(record))
        self.messages |= {key: encode_outgoing(message) for key, message in changes.messages.items()}
        for chat_id in changes.ended:
            self.chats.pop(chat_id, None)
        for key in changes.acknowledged:
            self.messages.pop(key, None)
        self.ended |= {chat_id: encode_app_ended(record) for chat_id, record in changes.owed.items()}
        for chat_id in changes.told:
            self.ended.pop(chat_id, None)
        changes.wipe()

    def copy(self) -> AppVolume:
        return AppVolume(dict(self.chats), dict(self.messages), dict(self.ended))

    def restore_into(self, machine: AppChats, now: float) -> None:
        """Everything that is kept, into a machine that has no chats."""
        for notice in self.ended.values():
            machine.restore_ended(parse_app_ended(notice), now)
        for chat_id, data in self.chats.items():
            record = parse_app_chat(data)
            kept = [parse_outgoing(self.messages[key]) for key in sorted(self.messages) if key[0] == chat_id]
            machine.restore(record, kept, now)
            record.wipe()
        assert {chat_id for chat_id, _ in self.messages} <= set(self.chats), "messages of a chat that is not kept"
