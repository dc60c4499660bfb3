"""The keystore behind one worker thread: what the chat machine wants kept, committed as a group before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from hermes_core.crypto.secret import wipe_buffer
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.keystore.record import encode_chat_record
from hermes_core.keystore.tombstone import encode_tombstone
from hermes_core.protocol.messages import ChatMessage
from hermes_core.relay.events import NodeEvent
from hermes_core.relay.output import NodeOutput
from hermes_node.keystore import Keystore, KeystoreMark, Table
from hermes_node.metrics.keystore import KeystoreMetrics
from hermes_node.metrics.labels import KeystoreOperation

T = TypeVar("T")


class Sink(Protocol):
    """A stream's queue: an app's session or a link to a peer."""

    def send(self, message: ChatMessage) -> None: ...


@dataclass(slots=True)
class Pass:
    """What one pass of the chat machine wants done, gathered from all its inputs."""

    puts: dict[ChatId, ChatRecord] = field(default_factory=dict)
    deletes: set[ChatId] = field(default_factory=set)
    tombstone_puts: dict[ChatId, Tombstone] = field(default_factory=dict)
    tombstone_deletes: set[ChatId] = field(default_factory=set)
    sends: list[tuple[Sink, ChatMessage]] = field(default_factory=list)
    events: list[NodeEvent] = field(default_factory=list)
    relayed_messages: int = 0
    relayed_acks: int = 0
    dropped_messages: int = 0
    leg_frames: int = 0
    tieline_frames: int = 0
    read_at: list[float] = field(default_factory=list)
    """When each batch with sealed frames was read (perf_counter)."""

    @property
    def needs_commit(self) -> bool:
        return bool(self.puts or self.deletes or self.tombstone_puts or self.tombstone_deletes)

    def merge(self, output: NodeOutput) -> None:
        """Add a later output; for each chat the later word stands. `sends` is the driver's to add."""
        for chat_id in output.deletes:
            self._forget(chat_id)
        for chat_id, record in output.puts.items():
            self._forget(chat_id)
            self.puts[chat_id] = record
        self.deletes = (self.deletes | output.deletes) - output.puts.keys()
        for chat_id in output.tombstone_deletes:
            self.tombstone_puts.pop(chat_id, None)
        self.tombstone_puts.update(output.tombstone_puts)
        self.tombstone_deletes = (self.tombstone_deletes | output.tombstone_deletes) - output.tombstone_puts.keys()
        self.events += output.events
        self.relayed_messages += output.relayed_messages
        self.relayed_acks += output.relayed_acks
        self.dropped_messages += output.dropped_messages

    def _forget(self, chat_id: ChatId) -> None:
        former = self.puts.pop(chat_id, None)
        if former is not None:
            former.wipe()


class ChatStore:
    """Every use of the keystore after the start goes through here, one at a time."""

    def __init__(self, keystore: Keystore, executor: ThreadPoolExecutor, metrics: KeystoreMetrics) -> None:
        self._keystore = keystore
        self._executor = executor
        self._metrics = metrics
        self.deleted_since_rotation = 0
        self.closed_value: bytes | None = None
        """What to note for each chat that ends while a resume witness is outstanding (hermes_node.keystore.witness)."""

    @property
    def mark(self) -> KeystoreMark:
        return self._keystore.mark

    @property
    def keystore(self) -> Keystore:
        return self._keystore

    async def run(self, work: Callable[[Keystore], T]) -> T:
        """Do something with the keystore in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._keystore)

    async def commit(self, work: Pass) -> None:
        """Seal and write everything in one transaction; durable when this returns. Wipes the records in any case."""
        with self._metrics.operation(KeystoreOperation.COMMIT):
            await self.run(lambda keystore: self._commit(keystore, work))

    async def rotate(self) -> None:
        """Re-seal under a fresh generation key."""
        self.deleted_since_rotation = 0
        with self._metrics.operation(KeystoreOperation.ROTATE):
            await self.run(lambda keystore: keystore.rotate_generation())

    async def close(self, *, wipe: bool) -> None:
        """Close the keystore, or erase it; nothing can be committed afterwards."""
        if wipe:
            with self._metrics.operation(KeystoreOperation.WIPE):
                await self.run(lambda keystore: keystore.wipe())
        else:
            await self.run(lambda keystore: keystore.close())

    def _commit(self, keystore: Keystore, work: Pass) -> None:
        puts: dict[tuple[Table, bytes], bytes | bytearray] = {}
        try:
            for chat_id, record in work.puts.items():
                puts[Table.CHAT, chat_id] = encode_chat_record(record)
                record.wipe()
            for chat_id, tombstone in work.tombstone_puts.items():
                puts[Table.TOMBSTONE, chat_id] = encode_tombstone(tombstone)
            if self.closed_value is not None:
                puts.update({(Table.CLOSED, chat_id): self.closed_value for chat_id in work.deletes})
            deletes = {(Table.CHAT, chat_id) for chat_id in work.deletes}
            deletes |= {(Table.TOMBSTONE, chat_id) for chat_id in work.tombstone_deletes}
            keystore.commit(puts, deletes)
            self.deleted_since_rotation += len(work.deletes)
        finally:
            for record in work.puts.values():
                record.wipe()
            for value in puts.values():
                if isinstance(value, bytearray):
                    wipe_buffer(value)
