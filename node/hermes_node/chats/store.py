"""The keystore behind one worker thread: what the chat machine wants kept, committed as a group before anything is sent."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hermes_core.clock_peers import SeenTime
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.crypto.signing import Identity
from hermes_core.keystore.chat_record_codec import encode_chat_record
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark, sign_mark
from hermes_core.keystore.rollback import Rollback
from hermes_core.keystore.tombstone_codec import encode_tombstone
from hermes_core.keystore.witness import ClosedValues
from hermes_core.relay.output import NodeOutput
from hermes_keystore import Keystore, KeystoreMark, Table
from hermes_node.keystore.last_seen import LastSeen
from hermes_node.metrics.keystore_series import KeystoreMetrics
from hermes_node.metrics.labels import KeystoreOperation

T = TypeVar("T")


class ChatStore:
    """Every use of the keystore after the start goes through here, one at a time."""

    def __init__(
        self,
        keystore: Keystore,
        executor: ThreadPoolExecutor,
        metrics: KeystoreMetrics,
        read_time: Callable[[], SeenTime],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_time`: the date, as far as the node believes it; called in any thread. `now`: what waits is timed by it."""
        self._keystore = keystore
        self._read_time = read_time
        self._now = now
        self._under_way: deque[float] = deque()
        self._last_seen = LastSeen()
        self._executor = executor
        self._metrics = metrics
        self._closed_values: ClosedValues | None = None
        self._signed_mark: Mark | None = None
        self._kept_for_others = 0
        self._owes_telling = False

    @property
    def mark(self) -> KeystoreMark:
        return self._keystore.mark

    @property
    def keystore(self) -> Keystore:
        return self._keystore

    def note_ended_with(self, values: ClosedValues | None) -> None:
        """What to note for chats that end or move while a resume witness is outstanding (hermes_core.keystore.witness)."""
        self._closed_values = values

    def current_mark(self, identity: Identity) -> Mark:
        """Signed: where the keystore stands, in this opening. The same one until the next commit.

        It may leave after `let_marks_out`, or after the next `commit`, which `owes_commit` then asks for.
        """
        mark, known = self.mark, self._signed_mark
        self._owes_telling = not self._keystore.marks_may_leave
        if known is None or (known.generation, known.commit_counter) != (mark.generation, mark.commit_counter):
            known = self._signed_mark = sign_mark(identity, self._keystore.open_id, mark)
        return known

    @property
    def owes_commit(self) -> bool:
        """A mark was signed that must not leave before the next `commit`, whatever else there is to keep."""
        return self._owes_telling

    async def let_marks_out(self) -> None:
        """Marks of this opening may leave the node when this returns."""
        if not self._keystore.marks_may_leave:
            await self.run(lambda keystore: keystore.let_marks_out())

    def count_news(self) -> int:
        """Rises with every commit but those of `keep_for_others`, which change nothing that a mark of ours is to protect."""
        return self.mark.commit_counter - self._kept_for_others

    async def keep_for_others(
        self, puts: Mapping[tuple[Table, bytes], bytes], deletes: Collection[tuple[Table, bytes]]
    ) -> None:
        """Commit what this node remembers for other nodes."""

        def keep(keystore: Keystore) -> None:
            keystore.commit(puts, deletes)
            self._kept_for_others += 1

        await self.run(keep)

    async def judge(self, mark: Mark, node_key: bytes) -> MarkVerdict:
        """What an authentic mark says of this keystore; a rollback is noted when this returns (`Keystore.judge`)."""
        return await self.run(lambda keystore: keystore.judge(mark, node_key))

    def foresee(self, mark: Mark, node_key: bytes) -> MarkVerdict:
        """What `judge` would say, as far as is known now (`Keystore.foresee`)."""
        return self._keystore.foresee(mark, node_key)

    async def note_rollback(self, rollback: Rollback) -> None:
        """Proof that no mark gave; durable when this returns."""
        await self.run(lambda keystore: keystore.note_rollback(rollback))

    async def settle_rollback(self) -> None:
        """What a rollback asks for is done, and durable."""
        await self.run(lambda keystore: keystore.settle_rollback())

    async def run(self, work: Callable[[Keystore], T]) -> T:
        """Do something with the keystore in its thread."""
        self._under_way.append(self._now())
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._keystore)
        finally:
            self._under_way.popleft()  # they end in the order in which they began

    @property
    def oldest_age_s(self) -> float:
        """For how long the disk has owed an answer; 0 when it owes none."""
        return self._now() - self._under_way[0] if self._under_way else 0.0

    async def commit(self, output: NodeOutput) -> None:
        """Seal and write everything in one transaction; durable when this returns. Wipes the records in any case."""
        with self._metrics.operation(KeystoreOperation.COMMIT):
            await self.run(lambda keystore: self._commit(keystore, output))

    async def keep_time(self) -> None:
        """Keep the last time seen, unless a commit of the last minute did."""
        if self._last_seen.is_due(self._read_time().date_s):
            await self.run(self._keep_time)

    async def rotate_slice(self) -> bool:
        """A slice of a rotation: what is asked for meanwhile waits for it, and goes before the next. True: the last one."""
        with self._metrics.operation(KeystoreOperation.ROTATE):
            return await self.run(lambda keystore: keystore.rotate_slice())

    async def close(self, *, wipe: bool) -> None:
        """Close the keystore, or erase it; nothing can be committed afterwards."""
        if wipe:
            with self._metrics.operation(KeystoreOperation.WIPE):
                await self.run(lambda keystore: keystore.wipe())
        else:
            await self.run(lambda keystore: keystore.close())

    def _keep_time(self, keystore: Keystore) -> None:
        seen = self._read_time()
        keystore.commit(self._last_seen.encode(seen))
        self._last_seen.note_kept(seen)

    def _commit(self, keystore: Keystore, output: NodeOutput) -> None:
        puts: dict[tuple[Table, bytes], bytes | bytearray] = {}
        seen = self._read_time()
        rides = self._last_seen.rides_at(seen.date_s)
        try:
            for chat_id, record in output.puts.items():
                puts[Table.CHAT, chat_id] = encode_chat_record(record)
                record.wipe()
            for chat_id, tombstone in output.tombstone_puts.items():
                puts[Table.TOMBSTONE, chat_id] = encode_tombstone(tombstone)
            if self._closed_values is not None:
                puts.update({(Table.CLOSED, chat_id): self._closed_values.ended for chat_id in output.deletes})
                puts.update({(Table.CLOSED, chat_id): self._closed_values.moved for chat_id in output.moved})
            deletes = {(Table.CHAT, chat_id) for chat_id in output.deletes}
            deletes |= {(Table.TOMBSTONE, chat_id) for chat_id in output.tombstone_deletes}
            if rides:
                puts.update(self._last_seen.encode(seen))
            if self._owes_telling:
                keystore.let_marks_out()
                self._owes_telling = False
            keystore.commit(puts, deletes)
            if rides:
                self._last_seen.note_kept(seen)
        finally:
            for record in output.puts.values():
                record.wipe()
            for value in puts.values():
                if isinstance(value, bytearray):
                    wipe_buffer(value)
