"""The stream within a Carry stream, as bytes, for its two ends: each message is cut into pieces and put together again."""

from __future__ import annotations

from typing import Any

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.mesh.carry.messages import MAX_CARRIED_BYTES, Carried
from hermes_core.protocol.messages import ErrorNotice
from hermes_node.mesh.guests import MAX_FIRST_BYTES
from hermes_node.mesh.streams import MeshStream
from hermes_wire.app import MAX_BATCH_BYTES
from hermes_wire.byte_stream import StreamEndedError


class CarriedStream:
    """`hermes_wire.byte_stream.ByteStream` over the stream with the node in between; what comes before `prove` is short."""

    def __init__(self, outer: MeshStream[Any]) -> None:
        self._outer = outer
        self._most = MAX_FIRST_BYTES

    def prove(self) -> None:
        """The node at the other end proved who it is."""
        self._most = MAX_BATCH_BYTES

    async def read(self) -> bytes | None:
        whole = bytearray()
        while True:
            piece = await self._outer.receive()
            if piece is None and not whole:
                return None
            if piece is None or isinstance(piece, ErrorNotice):
                raise StreamEndedError("cut off" if piece is None else f"{piece.code.name}: the third node: {piece.detail}")
            if not isinstance(piece, Carried):
                raise ProtocolError(ErrorCode.INVALID_FRAME, "not a piece of what is carried", scope=ErrorScope.STREAM)
            whole += piece.data
            if len(whole) > self._most:
                raise ProtocolError(ErrorCode.INVALID_FRAME, "too large", scope=ErrorScope.STREAM)
            if not piece.more:
                return bytes(whole)

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_CARRIED_BYTES):
            end = start + MAX_CARRIED_BYTES
            await self._outer.send(Carried(data[start:end], more=end < len(data)))
