"""Join and Gossip once they are proved: what is not the next message of the session ends the stream, before anybody sees it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.session import Heartbeat
from hermes_node.mesh.streams import MeshStream, gossip_stream, join_stream
from tests.support.sessions import make_session_keys


class Wire:
    """What one end wrote is what the other reads."""

    def __init__(self) -> None:
        self.written: deque[bytes] = deque()

    async def read(self) -> bytes | None:
        return self.written.popleft()

    async def write(self, data: bytes) -> None:
        self.written.append(data)


def make_pair(make: Any) -> tuple[MeshStream[Any], MeshStream[Any], Wire]:
    wire = Wire()
    ends = make(wire), make(wire)
    for end, keys in zip(ends, make_session_keys(), strict=True):
        end.secure(keys)
    return *ends, wire


UPDATE = MembershipUpdate(())


@pytest.mark.parametrize("make", [gossip_stream, join_stream])
async def test_a_session_carries_its_messages(make: Any) -> None:
    one, two, _ = make_pair(make)
    for _ in range(3):
        await one.send(UPDATE)
        assert await two.receive() == UPDATE


@pytest.mark.parametrize("what", ["forged", "replayed", "overtaken", "missing", "reflected"])
async def test_what_is_not_the_next_ends_the_stream(what: str) -> None:
    one, two, wire = make_pair(gossip_stream)
    await one.send(UPDATE)
    first = wire.written[0]
    match what:
        case "forged":
            wire.written.clear()
            await gossip_stream(wire).send(UPDATE)
        case "replayed":
            await two.receive()
            wire.written.append(first)
        case "overtaken":
            await one.send(UPDATE)
            wire.written.reverse()
        case "missing":
            await one.send(UPDATE)
            wire.written.popleft()
        case _:
            wire.written.clear()
            await two.send(UPDATE)
    with pytest.raises(ProtocolError) as caught:
        await two.receive()
    assert (caught.value.code, caught.value.scope) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM)


async def test_heartbeats_carry_no_tag() -> None:
    one, two, _ = make_pair(gossip_stream)
    await one.send(Heartbeat(1, reply=False))
    assert await two.receive() == Heartbeat(1, reply=False)
    await one.send(UPDATE)
    assert await two.receive() == UPDATE
