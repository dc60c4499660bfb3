"""What other members may hold of a node's mesh listener: unfinished handshakes, streams and connections, by name.

A certificate may bear the names of all nodes, so that a name counts only once it is proved; until then the certificate does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_node.streams.transport import ServedStream

MAX_HANDSHAKES: Final = 256
MAX_HANDSHAKES_A_CERTIFICATE: Final = 16
"""Unfinished ones. A member that starts has three under way."""
MAX_STREAMS_A_NODE: Final = 32
MAX_CONNECTIONS_A_NODE: Final = 16
"""On which it is proved. A member has two streams, or three; some whose end nobody told of may stand beside for a while."""
MAX_FIRST_BYTES: Final = 8 * 1024
"""Of a message before the proof. A descriptor with an address of 253 characters and all its renewals has 2 KiB."""
RETRY_MS: Final = 1000

Certificate = frozenset[str]


class MeshGuests:
    """The owner of what each holds."""

    def __init__(self) -> None:
        self._handshakes: Counter[Certificate] = Counter()
        self._unfinished = 0
        self._streams: Counter[NodeId] = Counter()
        self._connections: dict[NodeId, Counter[str]] = {}

    @contextmanager
    def unproven(self, certificate: Certificate) -> Iterator[None]:
        """For as long as a handshake takes; LIMIT_EXCEEDED when too many are unfinished."""
        if self._unfinished >= MAX_HANDSHAKES or self._handshakes[certificate] >= MAX_HANDSHAKES_A_CERTIFICATE:
            raise _refusal("too many handshakes are unfinished")
        self._unfinished += 1
        self._handshakes[certificate] += 1
        try:
            yield
        finally:
            self._unfinished -= 1
            _take_one(self._handshakes, certificate)

    @contextmanager
    def proven(self, node_id: NodeId, connection: str) -> Iterator[None]:
        """For as long as a stream stands on which this node is proved; LIMIT_EXCEEDED when it has too many."""
        held = self._connections.setdefault(node_id, Counter())
        if self._streams[node_id] >= MAX_STREAMS_A_NODE:
            raise _refusal("too many streams of this node")
        if connection not in held and len(held) >= MAX_CONNECTIONS_A_NODE:
            raise _refusal("too many connections of this node")
        self._streams[node_id] += 1
        held[connection] += 1
        try:
            yield
        finally:
            _take_one(self._streams, node_id)
            _take_one(held, connection)
            if not held:
                del self._connections[node_id]


class GuestStream:
    """A stream that is served; what comes before `prove` is short."""

    def __init__(self, served: ServedStream) -> None:
        self._served = served
        self._proven = False

    def prove(self) -> None:
        self._proven = True
        self._served.trust()

    async def read(self) -> bytes | None:
        raw = await self._served.read()
        if raw is not None and not self._proven and len(raw) > MAX_FIRST_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "too large for what comes before a proof", scope=ErrorScope.STREAM)
        return raw

    async def write(self, data: bytes) -> None:
        await self._served.write(data)


def _refusal(detail: str) -> ProtocolError:
    return ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, scope=ErrorScope.STREAM, retry_after_ms=RETRY_MS)


def _take_one(counter: Counter, key: object) -> None:  # type: ignore[type-arg] # of whatever it counts
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
