"""Streams that a third node carries: which end of each is a home, who the other home is, and what the homes say within."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.mesh.carry.messages import Carried, CarryFrom, CarryTo
from hermes_proto.v2.node_mesh_pb2 import CarryMessage, PeerBatch
from hermes_wire.carry import parse_carry
from hermes_wire.peer import parse_peer_batch
from hermes_wire.tags import split_tag

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream


class CarriedStreams:
    """Learns from what is written; of a stream on which nobody has said yet what it is for nothing is known."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[str, str]] = {}
        """By stream: the machine of the third node, and that of the home beyond it."""
        self._pieces: dict[tuple[int, str], bytearray] = {}

    def unwrap(self, stream: SimStream, process: Process, data: bytes) -> list[Any]:
        """What a home says to the other one: nothing before the last piece of it, or when the third node wrote it."""
        message = read_carry(data)
        if isinstance(message, CarryTo):
            self._ends[stream.number] = (stream.peer_of(process).machine, message.target)
        elif isinstance(message, CarryFrom):
            self._ends[stream.number] = (process.machine, message.origin)
        elif isinstance(message, Carried) and not self.is_third(stream, process):
            whole = self._pieces.setdefault((stream.number, process.name), bytearray())
            whole += message.data
            if not message.more:
                batch = parse_peer_batch(PeerBatch.FromString(bytes(self._pieces.pop((stream.number, process.name)))))
                return [split_tag(item)[0] for item in batch]
        return []

    def is_third(self, stream: SimStream, process: Process) -> bool:
        return stream.number in self._ends and self._ends[stream.number][0] == process.machine

    def find_peer(self, stream: SimStream, process: Process) -> str:
        """The machine that this end of a stream speaks to."""
        if stream.number in self._ends and not self.is_third(stream, process):
            return self._ends[stream.number][1]
        return stream.peer_of(process).machine


def read_carry(data: bytes) -> Any:
    return split_tag(parse_carry(CarryMessage.FromString(data)))[0]
