"""A TCP proxy before every port of the mesh: it cuts a pair off, or swallows what the pair says until it is healed.

An app is given a door of its own to each node. Nodes tell each other one address, so who knocks there is looked up by its
socket (/proc/net/tcp): the proxy needs Linux.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_BYTES = 65_536
LOOKS = 5
LOOK_EVERY_S = 0.02
Pair = frozenset[str]


@dataclass(slots=True)
class Gate:
    """What a pair may say to each other; counts what its fault has touched."""

    cut: bool = False
    hole: bool = False
    touched: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.opened.set()


class Proxy:
    """`pids`: the running processes by name, to know who knocks at a node's door."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._gates: dict[Pair, Gate] = {}
        self._servers: list[asyncio.Server] = []
        self._open: dict[asyncio.Task[None], tuple[Pair, tuple[asyncio.StreamWriter, ...]]] = {}

    async def listen(self, node: str, target: Callable[[], str], app: str | None = None) -> str:
        """A door to `node` for this app, or for other nodes; `target` says where the node listens now ("": nowhere)."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._open[task] = (frozenset(), (writer,))
            try:
                who = app or await self._find_dialler(writer)
                if not who:
                    return  # it is gone again; whoever it was may be cut off from here
                await self._serve(frozenset((node, who)), target, reader, writer)
            except (OSError, asyncio.CancelledError):
                pass  # either side is gone, or the pair was cut off
            finally:
                for each in self._open.pop(task)[1]:
                    each.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def cut(self, pair: Pair) -> Gate:
        """Reset what stands between the two, refuse what is tried."""
        gate = self._gates[pair] = Gate(cut=True)
        for task, (other, _) in list(self._open.items()):
            if other == pair:
                gate.touched += 1
                task.cancel()
        return gate

    def swallow(self, pair: Pair) -> Gate:
        """Connections stand and nothing comes through; what was said meanwhile comes late, when the pair is healed."""
        gate = self._gates[pair] = Gate(hole=True)
        gate.opened.clear()
        return gate

    def heal(self, pair: Pair) -> None:
        gate = self._gates.pop(pair, None)
        if gate is not None:
            gate.opened.set()

    def faulty(self, pair: Pair) -> bool:
        return pair in self._gates

    def heal_all(self) -> None:
        for pair in list(self._gates):
            self.heal(pair)

    async def close(self) -> None:
        self.heal_all()
        for server in self._servers:
            server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(
        self, pair: Pair, target: Callable[[], str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._pass(pair)
        address = target()
        if not address:
            return
        host, _, port = address.rpartition(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = (pair, (writer, onward_writer))
        ways = [
            asyncio.ensure_future(self._pump(pair, reader, onward_writer)),
            asyncio.ensure_future(self._pump(pair, onward_reader, writer)),
        ]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pass(pair)
            writer.write(data)
            await writer.drain()
        await self._pass(pair)
        if writer.can_write_eof():
            writer.write_eof()

    async def _pass(self, pair: Pair) -> None:
        """Returns when the pair may speak; ConnectionResetError when it is cut off."""
        while (gate := self._gates.get(pair)) is not None:
            gate.touched += 1
            if gate.cut:
                raise ConnectionResetError
            await gate.opened.wait()

    async def _find_dialler(self, writer: asyncio.StreamWriter) -> str:
        """The node whose process has the other end of this connection; "" when it is gone already.

        Looked at a few times: the table of sockets is read in pieces, and one that moves meanwhile is in none of them.
        """
        port, door = writer.get_extra_info("peername")[1], writer.get_extra_info("sockname")[1]
        for _ in range(LOOKS):
            inode = _find_inode(port, door)
            for name, pid in self._pids().items():
                if inode and _has_socket(pid, inode):
                    return name
            await asyncio.sleep(LOOK_EVERY_S)
        return ""


def _find_inode(port: int, to: int) -> str:
    """Of the socket from this local port to that one: to another one somebody else may have the same local port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            ports = [int(end.rpartition(":")[2], 16) for end in fields[1:3]]
            if ports == [port, to] and fields[9] != "0":
                return fields[9]
    return ""


def _has_socket(pid: int, inode: str) -> bool:
    folder, wanted = Path(f"/proc/{pid}/fd"), f"socket:[{inode}]"
    try:
        files = list(folder.iterdir())
    except OSError:
        return False
    return any(_read_link(file) == wanted for file in files)


def _read_link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""
