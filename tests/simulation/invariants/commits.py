"""Nothing leaves before its commit: a message waits until every output up to the one it depends on is durable."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hermes_core.keystore.tables import Table
from hermes_core.relay.output import NodeOutput, Send
from tests.simulation.invariants.base import Invariant
from tests.simulation.network import SERVED

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World

Changes = tuple[frozenset[bytes], frozenset[bytes], frozenset[bytes], frozenset[bytes]]


class DiskAheadOfWire(Invariant):
    name = "nothing leaves before its commit"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._numbers: dict[tuple[str, int], int] = {}
        self._needs: dict[tuple[str, int], deque[Send]] = {}
        self._open: dict[str, deque[tuple[int, Changes]]] = {}

    def stream_numbered(self, process: Process, number: int) -> None:
        self._numbers[process.name, SERVED.get().number] = number
        self._needs[process.name, number] = deque()

    def decided(self, process: Process, output: NodeOutput) -> None:
        if output.needs_commit:
            changes = (
                frozenset(output.puts),
                frozenset(output.deletes),
                frozenset(output.tombstone_puts),
                frozenset(output.tombstone_deletes),
            )
            self._open.setdefault(process.name, deque()).append((output.number, changes))
        for send in output.sends:
            self._needs[process.name, send.stream].append(send)

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        waiting = self._open.get(process.name)
        if waiting and waiting[0][1] == _changes_of(puts, deletes):
            waiting.popleft()

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        number = self._numbers.get((process.name, stream.number))
        if number is None:
            return
        queue, waiting = self._needs[process.name, number], self._open.get(process.name)
        for message in messages:
            send = next((send for send in queue if send.message == message), None)
            if send is None:
                continue  # what was made for another stream is another invariant's
            while queue.popleft() is not send:
                pass
            if waiting and waiting[0][0] <= send.after:
                self.violate(f"{process.name} wrote {type(message).__name__}, which waits for output {waiting[0][0]}")


def _changes_of(puts: Any, deletes: Any) -> Changes:
    return (
        frozenset(key for table, key in puts if table is Table.CHAT),
        frozenset(key for table, key in deletes if table is Table.CHAT),
        frozenset(key for table, key in puts if table is Table.TOMBSTONE),
        frozenset(key for table, key in deletes if table is Table.TOMBSTONE),
    )
