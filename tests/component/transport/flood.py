"""Strangers, in a process of their own: `python -m tests.component.transport.flood KIND HOST:PORT SECONDS PEERS SOURCES [CA]`.

Each of them does one thing as fast as it is let, over connection after connection, from 127.0.0.2 on; prints what it got
through as JSON, and what it was told (GOAWAY's codes). It stands behind whatever else wants the machine, as from afar.
With a certificate's path, without its ending, behind CA they are members of a mesh, and flood the port of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Final

from hermes_h2.frames import END_HEADERS, PREFACE, Code, FrameKind, build_frame, build_number, build_settings
from tests.support.h2_peer import Peer, prefix, split_frames

APPS_PATH: Final = "/hermes.v2.AppRouter/Open"
MESH_PATH: Final = "/hermes.v2.NodeMesh/Join"
TINY_FIELD: Final = b"\x00\x01a\x01b"
IDLE_TOTAL: Final = 2_000
HALF_BYTES: Final = 1_500
TOLD_S: Final = 0.2
IDLE_S: Final = 0.05
NICE: Final = 5


class Flooding(Peer):
    def __init__(self, path: str) -> None:
        super().__init__(greet=False)
        self._path = path

    def ask(self, stream: int, flags: int = END_HEADERS, more: bytes = b"") -> bytes:
        return build_frame(FrameKind.HEADERS, flags, stream, self.block(self._path) + more)


def flood_continuation(peer: Flooding) -> Iterator[bytes]:
    yield peer.ask(1, 0)
    while True:
        yield build_frame(FrameKind.CONTINUATION, 0, 1, TINY_FIELD * 3000)


def flood_continuation_after_data(peer: Flooding) -> Iterator[bytes]:
    yield peer.ask(1) + build_frame(FrameKind.DATA, 0, 1, prefix(b"hello"))
    yield peer.ask(3, 0)
    while True:
        yield build_frame(FrameKind.CONTINUATION, 0, 3, TINY_FIELD * 3000)


def flood_tiny_headers(peer: Flooding) -> Iterator[bytes]:
    for stream in count(1, 2):
        yield peer.ask(stream, more=TINY_FIELD * 200)


def flood_reset(peer: Flooding) -> Iterator[bytes]:
    for stream in count(1, 2):
        yield peer.ask(stream) + build_number(FrameKind.RST_STREAM, stream, Code.CANCEL)


def flood_ping(_peer: Flooding) -> Iterator[bytes]:
    while True:
        yield build_frame(FrameKind.PING, 0, 0, bytes(8)) * 100


def flood_settings(_peer: Flooding) -> Iterator[bytes]:
    while True:
        yield build_settings({}) * 100


def hold_streams(peer: Flooding) -> Iterator[bytes]:
    """As many as a mesh's port gives, and a message on each that does not end; for as long as the other end bears it."""
    for stream in range(1, 64, 2):
        yield peer.ask(stream) + build_frame(FrameKind.DATA, 0, stream, prefix(bytes(HALF_BYTES))[:-1])
    while True:
        yield b""


FLOODS: Final[dict[str, Callable[[Flooding], Iterator[bytes]]]] = {
    "continuation": flood_continuation,
    "continuation_after_data": flood_continuation_after_data,
    "tiny_headers": flood_tiny_headers,
    "reset": flood_reset,
    "ping": flood_ping,
    "settings": flood_settings,
    "streams": hold_streams,
}


class Strangers:
    def __init__(self, address: str, seconds: float, peers: int, addresses: int, ca_file: str, cert: str = "") -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._seconds = seconds
        self._peers = peers
        self._sources = [(f"127.0.0.{number + 2}", 0) for number in range(addresses)]
        self._tls: ssl.SSLContext | None = None
        if ca_file:
            self._tls = ssl.create_default_context(cafile=ca_file)
            self._tls.check_hostname = False
            self._tls.set_alpn_protocols(["h2"])
            if cert:
                self._tls.load_cert_chain(f"{cert}.crt", f"{cert}.key")
        self._path = MESH_PATH if cert else APPS_PATH
        self._end = 0.0
        self.connections = 0
        self.sent_bytes = 0
        self.told: Counter[str] = Counter()

    async def run(self, kind: str) -> None:
        if kind == "idle":
            await self._stand_there()
            return
        one = self._shake_hands if kind == "handshakes" else self._pour
        self._end = time.monotonic() + self._seconds
        await asyncio.gather(*(self._again(one, kind, number) for number in range(self._peers)))

    async def _again(self, one: Callable[[str, int], Awaitable[None]], kind: str, number: int) -> None:
        while time.monotonic() < self._end:
            try:
                await one(kind, number)
            except OSError:
                await asyncio.sleep(0.02)
            self.connections += 1

    async def _dial(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = self._sources[number % len(self._sources)]
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls, local_addr=source)

    async def _pour(self, kind: str, number: int) -> None:
        reader, writer = await self._dial(number)
        hearing = asyncio.create_task(self._hear(reader))
        try:
            writer.write(PREFACE + build_settings({}))
            for data in FLOODS[kind](Flooding(self._path)):
                writer.write(data)
                self.sent_bytes += len(data)
                async with asyncio.timeout(1):
                    await writer.drain()
                await asyncio.sleep(0 if data else IDLE_S)
                if hearing.done() or time.monotonic() >= self._end:
                    break
        except (TimeoutError, ConnectionError):
            pass
        finally:
            await asyncio.wait((hearing,), timeout=TOLD_S)
            hearing.cancel()
            writer.transport.abort()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """What it is told; ends when the other end has said everything."""
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                frames, rest = split_frames(rest + chunk)
                for kind, _, _, payload in frames:
                    if kind == FrameKind.GOAWAY:
                        self.told[Code(int.from_bytes(payload[4:8], "big")).name] += 1

    async def _shake_hands(self, _kind: str, number: int) -> None:
        _, writer = await self._dial(number)
        writer.transport.abort()

    async def _stand_there(self) -> None:
        """More connections than there are places for, which say nothing."""
        sockets = []
        for number in range(IDLE_TOTAL):
            source = self._sources[number % len(self._sources)]
            sockets.append(socket.create_connection((self._host, self._port), source_address=source))
            if len(sockets) % 20 == 0:
                await asyncio.sleep(0.01)
        self.connections = len(sockets)
        await asyncio.sleep(self._seconds)
        for sock in sockets:
            sock.close()


async def main(kind: str, address: str, seconds: str, peers: str, addresses: str, ca_file: str = "", cert: str = "") -> None:
    os.nice(NICE)
    strangers = Strangers(address, float(seconds), int(peers), int(addresses), ca_file, cert)
    await strangers.run(kind)
    found = {"connections": strangers.connections, "MB": round(strangers.sent_bytes / 1e6), "told": dict(strangers.told)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
