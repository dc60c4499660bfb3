"""A position is used only below what the disk has reserved: read from the frames on the wire and the records on the disk."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatRecord
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.tables import Table
from hermes_core.protocol.messages import Sealed
from hermes_core.ratchet.header import FrameHeader, parse_header
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class _Stored:
    """What the disk ever held of one chat, read when somebody asks beyond what is known."""

    def __init__(self) -> None:
        self.unread: deque[bytes] = deque()
        self.deleted = False
        self.reserved: dict[tuple[int, int, int], int] = {}
        """By kind of channel, epoch and role of the sender: the first position that is not reserved."""
        self.epochs: dict[tuple[int, str | None], int] = {}
        """By side's kind and neighbour: the epoch in use."""

    def read(self) -> None:
        while self.unread:
            record = parse_chat_record(self.unread.popleft())
            self._take(record)
            record.wipe()

    def _take(self, record: ChatRecord) -> None:
        for app_id, node_id, side in zip(record.app_ids, record.side_nodes, record.sides, strict=True):
            self.epochs[side.kind, node_id or app_id] = 0 if side.current is None else side.current.epoch
            for epoch in (side.current, side.pending):
                if epoch is not None:
                    key = (side.kind, epoch.epoch, epoch.role)
                    self.reserved[key] = max(self.reserved.get(key, 0), epoch.send.reserved)


class PositionsAreReserved(Invariant):
    name = "no position beyond what the disk has reserved"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._stored: dict[tuple[str, ChatId], _Stored] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        for key, value in keystore.load(Table.CHAT):
            self._keep(process, ChatId(key), value)

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        for table, key in deletes:
            if table is Table.CHAT and (process.name, ChatId(key)) in self._stored:
                self._stored[process.name, ChatId(key)].deleted = True
        for (table, key), value in puts.items():
            if table is Table.CHAT:
                self._keep(process, ChatId(key), value)

    def _keep(self, process: Process, chat_id: ChatId, value: bytes | bytearray) -> None:
        stored = self._stored.setdefault((process.name, chat_id), _Stored())
        stored.unread.append(bytes(value))
        stored.deleted = False

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            if type(message) is Sealed:
                peer = self.world.carried.find_peer(stream, process)
                self._check(process, self.world.neighbour_id(peer), parse_header(message.frame))

    def _check(self, process: Process, neighbour: str, header: FrameHeader) -> None:
        stored = self._stored.get((process.name, header.chat_id)) or _Stored()
        key = (header.kind, header.epoch, header.direction)
        if header.position < stored.reserved.get(key, 0):
            return
        stored.read()
        limit = stored.reserved.get(key, 0)
        # A chat or an epoch that the disk does not hold any more comes back to nobody.
        forgotten = stored.deleted or header.epoch < stored.epochs.get((header.kind, neighbour), 0)
        if header.position >= limit and not forgotten:
            self.violate(f"{process.name} used position {header.position}, the disk has reserved those below {limit}")
