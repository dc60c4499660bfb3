"""Typed streams between nodes: what travels on Join, Gossip and RouteChat, over raw bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import DecodeError

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.mesh.homes.messages import HoldEntries
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.mesh.swim.messages import Ping, PingRequest, Pong, SyncFacts, SyncListing, SyncWanted
from hermes_core.session.keys import SessionKeys
from hermes_proto.v2.node_mesh_pb2 import CarryMessage, GossipMessage, JoinMessage, PeerBatch
from hermes_wire.app import MAX_BATCH_BYTES
from hermes_wire.byte_stream import ByteStream
from hermes_wire.carry import build_carry, parse_carry
from hermes_wire.peer import PeerMessage, build_gossip, build_join, build_peer_batch, parse_gossip, parse_peer_batch

T = TypeVar("T")

SERVICE: Final = "hermes.v2.NodeMesh"
MEMBER_BYTES: Final = 640
APP_BYTES: Final = 256
FACT_BYTES: Final = 1_600
"""Of a descriptor with renewals and both addresses as long as may be."""


class MeshStream(Generic[T]):
    """`send` and `receive` one message (Join, Gossip) or one batch (RouteChat)."""

    def __init__(self, stream: ByteStream, encode: Callable[[T], bytes], decode: Callable[[bytes], T]) -> None:
        self._stream = stream
        self._encode = encode
        self._decode = decode
        self._keys: SessionKeys | None = None

    def secure(self, keys: SessionKeys) -> None:
        """From now on each message is tagged, and counts only when it is the next that the peer sent."""
        self._keys = keys

    def wipe(self) -> None:
        """Nothing more comes or goes."""
        if self._keys is not None:
            self._keys.wipe()

    async def send(self, message: T) -> None:
        (tagged,) = [message] if self._keys is None else self._keys.writer.tag([message])
        await self._stream.write(self._encode(tagged))

    async def receive(self) -> T | None:
        """The next message, None at the end; INVALID_FRAME, AUTH_FAILED, or StreamEndedError when the stream broke."""
        raw = await self._stream.read()
        if raw is None:
            return None
        if len(raw) > MAX_BATCH_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "too large", scope=ErrorScope.STREAM)
        try:
            message = self._decode(raw)
        except DecodeError:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "not a message of this stream", scope=ErrorScope.STREAM) from None
        return message if self._keys is None else self._keys.reader.open(message)

    async def send_first(self, message: Any) -> None:
        """Send one handshake message, or the last one."""
        await self.send(message)

    async def receive_first(self) -> Any:
        """Receive one handshake message."""
        return await self.receive()


class RouteStream(MeshStream[list[PeerMessage]]):
    """RouteChat: batches of frames; a handshake message, or why a proved stream is refused, travels as a batch of one.

    Between the two tags are the sink's and the machine's.
    """

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(stream, _encode_batch, _decode_batch)

    async def send(self, message: list[PeerMessage]) -> None:
        await self._stream.write(self._encode(message))

    async def send_first(self, message: Any) -> None:
        await self.send([message] if self._keys is None else self._keys.writer.tag([message]))

    async def receive_first(self) -> Any:
        batch = await self.receive()
        if batch is not None and len(batch) != 1:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "expected one handshake frame", scope=ErrorScope.STREAM)
        return None if batch is None else batch[0]


def gossip_stream(stream: ByteStream) -> MeshStream[Any]:
    return MeshStream(
        stream, lambda item: build_gossip(item).SerializeToString(), lambda raw: parse_gossip(GossipMessage.FromString(raw))
    )


def join_stream(stream: ByteStream) -> MeshStream[Any]:
    return MeshStream(
        stream, lambda item: build_join(item).SerializeToString(), lambda raw: parse_gossip(JoinMessage.FromString(raw))
    )


def carry_stream(stream: ByteStream) -> MeshStream[Any]:
    return MeshStream(
        stream, lambda item: build_carry(item).SerializeToString(), lambda raw: parse_carry(CarryMessage.FromString(raw))
    )


def estimate_update_bytes(message: object) -> int:
    """An upper bound of a gossip message's size on the wire."""
    if isinstance(message, Ping | Pong | PingRequest | SyncFacts):
        return FACT_BYTES * (1 + len(message.facts))
    if isinstance(message, SyncListing | SyncWanted):
        return APP_BYTES * (1 + len(message.entries if isinstance(message, SyncListing) else message.names))
    if isinstance(message, MembershipUpdate):
        return MEMBER_BYTES * (1 + len(message.members))
    if isinstance(message, HoldEntries):
        handed_on = sum(MEMBER_BYTES + APP_BYTES * len(handed.entries) for handed in message.handed_on)
        return MEMBER_BYTES + APP_BYTES * len(message.entries) + handed_on
    return MEMBER_BYTES


def _encode_batch(items: list[PeerMessage]) -> bytes:
    return build_peer_batch(items).SerializeToString()


def _decode_batch(raw: bytes) -> list[PeerMessage]:
    return parse_peer_batch(PeerBatch.FromString(raw))
