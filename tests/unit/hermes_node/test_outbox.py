"""The outbox of a stream: batches of what is ready, within bounds, and an orderly end."""

from __future__ import annotations

import asyncio

import pytest

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import PathState, Sealed
from hermes_node.streams.outbox import MAX_WRITE_BYTES, Outbox, StreamStuckError
from hermes_wire.app import MAX_BATCH_BYTES, MAX_BATCH_FRAMES, ServerMessage, build_server_batch
from hermes_wire.sizes import PLAIN_MESSAGE_BYTES, estimate_bytes

CHAT = ChatId(bytes(16))


def sealed(size: int) -> Sealed:
    return Sealed(bytes(size))


def make(frames: int = 10_000, size: int = 64 << 20) -> Outbox[ServerMessage]:
    return Outbox(max_frames=frames, max_bytes=size)


async def test_everything_ready_is_one_batch_in_order() -> None:
    outbox = make()
    messages = [PathState(CHAT, up=bool(n % 2)) for n in range(5)]
    for message in messages:
        assert outbox.put(message)
    assert await outbox.take() == messages


async def test_take_waits_for_the_first_message() -> None:
    outbox = make()
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.put(sealed(100))
    assert await taking == [sealed(100)]


async def test_a_batch_has_at_most_the_protocols_frames() -> None:
    outbox = make()
    for _ in range(MAX_BATCH_FRAMES + 1):
        outbox.put(PathState(CHAT, up=True))
    assert len(await outbox.take()) == MAX_BATCH_FRAMES
    assert len(await outbox.take()) == 1


async def test_a_batch_has_at_most_the_bytes_of_one_write() -> None:
    outbox = make()
    for _ in range(80):
        outbox.put(sealed(65_000))
    while len(outbox):
        batch = await outbox.take()
        assert len(build_server_batch(batch).SerializeToString()) <= MAX_WRITE_BYTES < MAX_BATCH_BYTES


async def test_the_bound_in_frames_holds_exactly() -> None:
    outbox = make(frames=3)
    assert [outbox.put(sealed(60)) for _ in range(4)] == [True, True, True, False]
    assert len(await outbox.take()) == 3
    assert outbox.put(sealed(60))


async def test_the_bound_in_bytes_holds_exactly() -> None:
    outbox = make(size=2 * PLAIN_MESSAGE_BYTES)
    state = PathState(CHAT, up=True)
    assert [outbox.put(state) for _ in range(3)] == [True, True, False]


async def test_close_lets_what_waits_leave_then_the_last_word() -> None:
    outbox = make()
    outbox.put(sealed(60))
    outbox.close(PathState(CHAT, up=False))
    outbox.put(sealed(61))
    assert await outbox.take() == [sealed(60), PathState(CHAT, up=False)]
    assert await outbox.take() == []


async def test_close_with_discard_leaves_only_the_last_word() -> None:
    outbox = make()
    outbox.put(sealed(60))
    outbox.close(PathState(CHAT, up=False), discard=True)
    assert await outbox.take() == [PathState(CHAT, up=False)]
    assert await outbox.take() == []


async def test_close_wakes_a_waiting_writer() -> None:
    outbox = make()
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.close()
    assert await taking == []


def test_the_estimate_is_an_upper_bound() -> None:
    for message in (sealed(92), sealed(65_639), PathState(CHAT, up=True)):
        assert len(build_server_batch([message]).SerializeToString()) <= estimate_bytes(message)


async def test_drain_writes_everything_and_ends_when_closed() -> None:
    outbox, written = make(), []

    async def write(batch: list[ServerMessage]) -> None:
        written.extend(batch)

    draining = asyncio.create_task(outbox.drain(write))
    outbox.put(sealed(60))
    await asyncio.sleep(0)
    outbox.put(sealed(61))
    outbox.close(sealed(62))
    await draining
    assert written == [sealed(60), sealed(61), sealed(62)]


@pytest.mark.parametrize("closed_before", [True, False])
async def test_a_reader_that_stopped_does_not_hold_an_ended_stream(
    closed_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_node.streams.outbox.LAST_WORDS_S", 0.01)
    outbox, blocked = make(), asyncio.Event()

    async def write(_batch: list[ServerMessage]) -> None:
        blocked.set()
        await asyncio.Event().wait()

    outbox.put(sealed(60))
    if closed_before:
        outbox.close()
    draining = asyncio.create_task(outbox.drain(write))
    await blocked.wait()
    outbox.close()
    with pytest.raises(StreamStuckError):
        await asyncio.wait_for(draining, 10)
