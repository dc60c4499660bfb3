"""What a machine wants done. A node commits every put and delete first, then sends, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.protocol.messages import ChatMessage
from hermes_core.relay.events import NodeEvent


@dataclass(frozen=True, slots=True)
class ToApp:
    app_id: AppId
    message: ChatMessage


@dataclass(frozen=True, slots=True)
class ToPeer:
    node_id: NodeId
    message: ChatMessage


@dataclass(slots=True)
class NodeOutput:
    """The records in `puts` belong to the caller, who wipes them once they are sealed. One commit for all of it."""

    puts: dict[ChatId, ChatRecord] = field(default_factory=dict)
    deletes: set[ChatId] = field(default_factory=set)
    tombstone_puts: dict[ChatId, Tombstone] = field(default_factory=dict)
    tombstone_deletes: set[ChatId] = field(default_factory=set)
    sends: list[ToApp | ToPeer] = field(default_factory=list)
    events: list[NodeEvent] = field(default_factory=list)
    relayed_messages: int = 0
    relayed_acks: int = 0
    dropped_messages: int = 0
    """Frames whose onward path was down: their sender sends them again."""

    @property
    def needs_commit(self) -> bool:
        return bool(self.puts or self.deletes or self.tombstone_puts or self.tombstone_deletes)
