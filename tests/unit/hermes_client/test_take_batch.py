"""take_batch: everything that is ready, within the bounds of a batch."""

from __future__ import annotations

from collections import deque

from hermes_client.stream import MAX_BATCH_BYTES, take_batch
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.session import Heartbeat
from hermes_core.protocol.validate import MAX_SEALED_BYTES
from hermes_wire.app import MAX_BATCH_BYTES as WIRE_MAX_BYTES
from hermes_wire.app import MAX_BATCH_FRAMES, ClientMessage, build_client_batch


def test_takes_everything_in_order_when_it_fits() -> None:
    outbound: deque[ClientMessage] = deque(Heartbeat(n, reply=False) for n in range(5))
    assert take_batch(outbound) == [Heartbeat(n, reply=False) for n in range(5)]
    assert not outbound
    assert take_batch(outbound) == []


def test_stops_at_the_bound_of_frames() -> None:
    outbound: deque[ClientMessage] = deque(Heartbeat(n, reply=False) for n in range(MAX_BATCH_FRAMES + 1))
    assert len(take_batch(outbound)) == MAX_BATCH_FRAMES
    assert take_batch(outbound) == [Heartbeat(MAX_BATCH_FRAMES, reply=False)]


def test_a_full_batch_stays_within_the_bytes_of_the_wire() -> None:
    outbound: deque[ClientMessage] = deque(Sealed(bytes(MAX_SEALED_BYTES)) for _ in range(200))
    batch = take_batch(outbound)
    size = build_client_batch(batch).ByteSize()
    assert MAX_BATCH_BYTES <= size <= WIRE_MAX_BYTES
    assert outbound
