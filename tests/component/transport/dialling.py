"""Clients for tests of the transport: gRPC's official one in Python, and one that says any frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from hermes_h2.frames import END_HEADERS, PREFACE, FrameKind, build_frame, build_settings
from tests.component.transport.serving import SERVICE, Watched
from tests.support.h2_peer import Peer, split_frames

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 16 << 20)]
DEADLINE_S = 20.0


def connect(watched: Watched) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(watched.address, options=OPTIONS)


def open_call(channel: grpc.aio.Channel, method: str = "Talk", **more: Any) -> Any:
    call: Any = channel.stream_stream(f"/{SERVICE}/{method}")
    return call(**more)


async def echo(call: Any, message: bytes) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await call.write(message)
        assert await call.read() == message


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - of both ends
            await asyncio.sleep(0.01)


class RawPeer:
    """Frames over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.peer = Peer(greet=False)
        self.frames: list[tuple[int, int, int, bytes]] = []
        self._rest = b""

    @classmethod
    async def dial(cls, watched: Watched, first: bytes = b"") -> RawPeer:
        raw = cls(*await asyncio.open_connection("127.0.0.1", watched.server.port))
        watched.dialled.append(raw.writer)
        raw.writer.write(first + PREFACE + build_settings({}))
        return raw

    def open(self, stream: int = 1, method: str = "Talk") -> None:
        block = self.peer.block(f"/{SERVICE}/{method}")
        self.writer.write(build_frame(FrameKind.HEADERS, END_HEADERS, stream, block))

    async def wait(self, kind: FrameKind) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            while not any(frame[0] == kind for frame in self.frames):
                data = await self.reader.read(65_536)
                assert data, f"the connection ended without {kind.name}"
                frames, self._rest = split_frames(self._rest + data)
                self.frames += frames
        return next(payload for found, _, _, payload in self.frames if found == kind)

    async def wait_end(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                pass
