"""A flooding stream fills its own share of what may wait, and no more."""

from __future__ import annotations

import asyncio

from hermes_node.streams.grpc_options import MAX_PENDING_FRAMES
from hermes_node.streams.pending import MAX_WAITING_FRAMES, Backlog, PendingFrames


async def test_nothing_more_is_read_of_a_stranger_until_the_first_was_handled() -> None:
    pending = PendingFrames(Backlog(), stranger=True)
    pending.posted(1)
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    pending.processed(1)
    await asyncio.wait_for(waiting, 5)
    pending.posted(MAX_PENDING_FRAMES)
    await asyncio.wait_for(pending.wait_for_room(), 5)


async def test_a_flooding_stream_waits_until_its_frames_were_handled() -> None:
    pending = PendingFrames(Backlog())
    pending.posted(MAX_PENDING_FRAMES)
    await asyncio.wait_for(pending.wait_for_room(), 5)
    pending.posted(1)
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    pending.processed(1)
    await asyncio.wait_for(waiting, 5)


async def test_what_others_have_waiting_keeps_nobody_from_being_read_who_has_nothing_waiting() -> None:
    backlog = Backlog()
    flooding, small = PendingFrames(backlog, MAX_WAITING_FRAMES + 9), PendingFrames(backlog)
    flooding.posted(MAX_WAITING_FRAMES)
    await asyncio.wait_for(flooding.wait_for_room(), 5)
    flooding.posted(2)
    await asyncio.wait_for(small.wait_for_room(), 5)
    small.posted(1)
    waiting = [asyncio.create_task(each.wait_for_room()) for each in (flooding, small)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    small.processed(1)
    await asyncio.wait_for(waiting[1], 5)
    flooding.processed(1)
    await asyncio.sleep(0)
    assert not waiting[0].done()
    flooding.processed(1)
    await asyncio.wait_for(waiting[0], 5)
