"""Every error of a stream's tasks is asked for: one that nobody took is logged as something unexpected."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any

from hermes_node.mesh.links import run_both, until_first_ends
from hermes_node.streams.outbox import Outbox
from hermes_wire.byte_stream import StreamEndedError


async def break_off() -> None:
    await asyncio.sleep(0)
    raise StreamEndedError("the other side is gone")


def listen() -> list[str]:
    """What asyncio reports from now on."""
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["message"])))
    return told


async def break_together(tasks: list[asyncio.Task[None]]) -> None:
    with contextlib.suppress(StreamEndedError):
        await until_first_ends(tasks)


async def test_a_reader_that_broke_while_its_writer_is_cancelled() -> None:
    told = listen()
    outbox: Outbox[Any] = Outbox(max_frames=1, max_bytes=1024)
    both = asyncio.create_task(run_both(asyncio.Event().wait(), break_off(), outbox))
    for _ in range(4):
        await asyncio.sleep(0)
    both.cancel()
    with contextlib.suppress(asyncio.CancelledError, StreamEndedError):
        await both
    del both
    gc.collect()
    assert told == []


async def test_a_reader_that_breaks_while_what_waits_for_its_end_is_cancelled() -> None:
    told = listen()

    async def break_when_ended() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise ConnectionError("broken off meanwhile") from None

    outbox: Outbox[Any] = Outbox(max_frames=1, max_bytes=1024)
    both = asyncio.create_task(run_both(break_off(), break_when_ended(), outbox))
    for _ in range(3):  # the writer has broken off, and its reader is being ended
        await asyncio.sleep(0)
    both.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await both
    await asyncio.sleep(0)
    del both
    gc.collect()
    assert told == []


async def test_a_stream_of_a_link_that_breaks_while_it_is_ended_with_the_other() -> None:
    told = listen()

    async def break_when_ended() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise StreamEndedError("gone meanwhile") from None

    await break_together([asyncio.create_task(break_off()), asyncio.create_task(break_when_ended())])
    gc.collect()
    assert told == []
