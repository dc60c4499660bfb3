"""A member of a mesh that says any frame: mutual TLS and HTTP/2 by hand, with streams on which it can prove itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from typing import Any

from hermes_core.ids import NodeId
from hermes_core.session.join import StreamKind
from hermes_h2.frames import ACK, END_HEADERS, PREFACE, PREFIX_BYTES, Code, FrameKind, build_frame, build_settings
from hermes_node.mesh.handshake import NodeCredentials, dial_handshake
from hermes_node.mesh.streams import SERVICE, MeshStream, RouteStream, gossip_stream, join_stream
from hermes_wire.byte_stream import StreamEndedError
from tests.support.h2_peer import Peer, prefix, split_frames

CHUNK_BYTES = 16_384
WINDOW = 65_535


class RawMember:
    """One connection. `told`: the codes of GOAWAY that it was told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._peer = Peer(greet=False)
        self._last = -1
        self.told: Counter[str] = Counter()
        self.streams: dict[int, RawStream] = {}
        self.left = WINDOW
        self._hearing = asyncio.create_task(self._hear())
        writer.write(PREFACE + build_settings({}))

    @classmethod
    async def dial(cls, host: str, port: int, tls: ssl.SSLContext, source: str) -> RawMember:
        return cls(*await asyncio.open_connection(host, port, ssl=tls, local_addr=(source, 0)))

    @property
    def ended(self) -> bool:
        return self._hearing.done()

    def open(self, method: str) -> RawStream:
        self._last += 2
        block = self._peer.block(f"/{SERVICE}/{method}")
        self.writer.write(build_frame(FrameKind.HEADERS, END_HEADERS, self._last, block))
        self.streams[self._last] = stream = RawStream(self, self._last)
        return stream

    async def prove(self, local: NodeCredentials, kind: StreamKind, node_id: str) -> RawStream:
        """A stream of this kind, with the proof said on it; ProtocolError when that was refused."""
        raw = self.open({StreamKind.JOIN: "Join", StreamKind.GOSSIP: "Gossip", StreamKind.ROUTE_CHAT: "RouteChat"}[kind])
        stream: MeshStream[Any]
        if kind is StreamKind.ROUTE_CHAT:
            stream = RouteStream(raw)
        else:
            stream = (gossip_stream if kind is StreamKind.GOSSIP else join_stream)(raw)
        (await dial_handshake(local, kind, NodeId(node_id), stream.send_first, stream.receive_first)).keys.wipe()
        return raw

    def stop_reading(self) -> None:
        self._hearing.cancel()
        self.writer.transport.pause_reading()  # type: ignore[attr-defined] # of a socket's transport

    def abort(self) -> None:
        self._hearing.cancel()
        self.writer.transport.abort()

    async def _hear(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := await self._reader.read(65_536):
                frames, rest = split_frames(rest + chunk)
                for frame in frames:
                    self._take(*frame)
        for stream in self.streams.values():
            stream.end()

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number)
        if kind == FrameKind.GOAWAY:
            self.told[Code(int.from_bytes(payload[4:8], "big")).name] += 1
        elif kind in {FrameKind.SETTINGS, FrameKind.PING} and not flags & ACK:
            self.writer.write(build_frame(FrameKind(kind), ACK, 0, payload if kind == FrameKind.PING else b""))
        elif kind == FrameKind.WINDOW_UPDATE:
            step = int.from_bytes(payload, "big")
            if stream is not None:
                stream.left += step
            elif not number:
                self.left += step
        elif stream is not None:
            stream.take(kind, flags, payload)


class RawStream:
    """As a `ByteStream`; besides it a message can be left unfinished."""

    def __init__(self, member: RawMember, number: int) -> None:
        self._member = member
        self._number = number
        self._bytes = b""
        self._whole: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.left = WINDOW
        self.ended = False

    async def read(self) -> bytes | None:
        return await self._whole.get()

    async def write(self, data: bytes) -> None:
        if self.ended:
            raise StreamEndedError
        self._send(prefix(data))

    async def begin(self, size: int) -> int:
        """A message of so many bytes but for its last one, as windows allow; how many bytes left."""
        data, at = prefix(bytes(size))[:-1], 0
        while at < len(data) and not self.ended:
            room = min(CHUNK_BYTES, self.left, self._member.left, len(data) - at)
            if room > 0:
                self._send(data[at : at + room])
                at += room
                await self._member.writer.drain()
            else:
                await asyncio.sleep(0.05)
        return at

    def take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == FrameKind.RST_STREAM or (kind == FrameKind.HEADERS and flags & 1):
            self.end()
        elif kind == FrameKind.DATA:
            self._bytes += payload
            while len(self._bytes) >= PREFIX_BYTES:
                end = PREFIX_BYTES + int.from_bytes(self._bytes[1:PREFIX_BYTES], "big")
                if len(self._bytes) < end:
                    return
                self._whole.put_nowait(self._bytes[PREFIX_BYTES:end])
                self._bytes = self._bytes[end:]

    def end(self) -> None:
        self.ended = True
        self._whole.put_nowait(None)

    def _send(self, data: bytes) -> None:
        self.left -= len(data)
        self._member.left -= len(data)
        self._member.writer.write(build_frame(FrameKind.DATA, 0, self._number, data))
