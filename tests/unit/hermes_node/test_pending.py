"""A flooding stream fills its own share of what may wait, and no more."""

from __future__ import annotations

import asyncio

from hermes_node.streams.grpc_options import MAX_PENDING_FRAMES
from hermes_node.streams.pending import PendingFrames


async def test_nothing_more_is_read_of_a_stranger_until_the_first_was_handled() -> None:
    pending = PendingFrames(stranger=True)
    pending.posted(1)
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    pending.processed(1)
    await asyncio.wait_for(waiting, 5)
    pending.posted(MAX_PENDING_FRAMES)
    await asyncio.wait_for(pending.wait_for_room(), 5)


async def test_a_flooding_stream_waits_until_its_frames_were_handled() -> None:
    pending = PendingFrames()
    pending.posted(MAX_PENDING_FRAMES)
    await asyncio.wait_for(pending.wait_for_room(), 5)
    pending.posted(1)
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    pending.processed(1)
    await asyncio.wait_for(waiting, 5)
