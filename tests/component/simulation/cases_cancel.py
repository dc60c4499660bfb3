"""Streams that one side cancels, in each place where the other side, or the same one, can be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from hermes_node.streams.transport import ServedStream
from hermes_wire.byte_stream import StreamEndedError
from tests.component.simulation.contract import BLOCKED_S, CHUNK, World, cancel_and_wait, case, until
from tests.component.simulation.worlds import open_talk


@case(client=["read hello"], server=["write taken", "cancelled"], reader=["read None", "write ended", "read None"])
async def client_cancels_under_the_servers_reader(world: World) -> None:
    """The handler waits for something else: it is cancelled; its reader takes the stream for ended in order."""
    notes = world.notes
    tasks: list[asyncio.Task[None]] = []

    async def read_on(stream: ServedStream) -> None:
        await notes.read("reader", stream)
        await notes.write("reader", stream, b"late")
        await notes.read("reader", stream)

    async def talk(stream: ServedStream) -> None:
        tasks.append(asyncio.create_task(read_on(stream)))
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            raise

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    stream.cancel()
    await until(lambda: bool(tasks) and tasks[0].done() and "cancelled" in notes.lines["server"])


@case(client=["read hello", "read hello"], server=["ended", "ended"])
async def client_cancels_a_handler_that_reads_or_writes(world: World) -> None:
    """Mostly its call returns first, and then it is cancelled; sometimes the cancellation strikes it in its call."""
    notes = world.notes
    ended: list[str] = []

    async def serve(stream: ServedStream, use: Callable[[], Awaitable[object]]) -> None:
        await stream.write(b"hello")
        try:
            await use()
            await asyncio.Event().wait()
        except StreamEndedError:
            await asyncio.Event().wait()
        finally:
            notes.add("server", "ended")
            ended.append("")

    async def read(stream: ServedStream) -> None:
        await serve(stream, stream.read)

    async def write(stream: ServedStream) -> None:
        async def flood() -> None:
            while True:
                await stream.write(CHUNK)

        await serve(stream, flood)

    await world.serve({"Read": read, "Write": write})
    for method in ("Read", "Write"):
        stream = open_talk(world.connect(), method)
        await notes.read("client", stream)
        await asyncio.sleep(BLOCKED_S)
        stream.cancel()
    await until(lambda: len(ended) == 2)


@case(
    client=["read hello", "write taken", "write taken"],
    server=["write taken", "read None", "read None", "read None", "write ended", "0 names", "read None"],
)
async def handler_that_goes_on_after_a_cancel(world: World) -> None:
    """What was not read yet is lost; writes are refused; and peer_names can still be asked."""
    notes = world.notes
    ended = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.shield(asyncio.create_task(look(stream)))

    async def look(stream: ServedStream) -> None:
        for _ in range(3):
            await notes.read("server", stream)
        await notes.write("server", stream, b"late")
        await asyncio.sleep(0.1)
        notes.add("server", f"{len(stream.peer_names())} names")
        await notes.read("server", stream)
        ended.set()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    for data in (b"a", b"b"):
        await notes.write("client", stream, data)
    await world.settle()
    stream.cancel()
    await until(ended.is_set)


@case(client=["read hello"], server=["write taken", "read None", "write ended", "0 names"])
async def a_task_that_outlives_a_cancelled_handler(world: World) -> None:
    """Everything it asks of the stream is answered, though nothing is left of the call."""
    notes = world.notes
    streams: list[ServedStream] = []
    ended = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        streams.append(stream)
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    stream.cancel()
    await until(ended.is_set)
    await world.settle()
    await notes.read("server", streams[0])
    await notes.write("server", streams[0], b"late")
    notes.add("server", f"{len(streams[0].peer_names())} names")


@case(
    client=["read one", "read ended CANCELLED", "write ended", "done_writing taken", "read ended CANCELLED"],
    server=["write taken", "write taken"],
)
async def after_an_own_cancel(world: World) -> None:
    """What has arrived is lost as well."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        for data in (b"one", b"two"):
            await notes.write("server", stream, data)
        await asyncio.Event().wait()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    await world.settle()
    stream.cancel()
    stream.cancel()
    await notes.read("client", stream)
    await notes.write("client", stream, b"late")
    await notes.done_writing("client", stream)
    await notes.read("client", stream)


@case(client=["read hello", "read waits", "read ended CANCELLED"], server=["write taken"])
async def cancel_under_an_own_read(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        await asyncio.Event().wait()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    reader = asyncio.create_task(notes.read("client", stream))
    await notes.blocked("client", "read", reader)
    stream.cancel()
    await asyncio.wait({reader})


@case(client=["read hello", "write waits", "write over", "read ended CANCELLED"], server=["write taken"])
async def cancel_under_an_own_write(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        await asyncio.Event().wait()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    writer, _ = await notes.fill("client", stream)
    stream.cancel()
    await notes.write_over("client", writer)
    await notes.read("client", stream)


@case(
    client=["read hello", "read waits", "read cancelled", "write ended", "read ended CANCELLED"],
    server=["write taken", "cancelled"],
)
async def the_clients_reading_task_is_cancelled(world: World) -> None:
    """It ends the whole stream."""
    notes = world.notes
    ended = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            ended.set()
            raise

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    reader = asyncio.create_task(notes.read("client", stream))
    await notes.blocked("client", "read", reader)
    await cancel_and_wait(reader)
    await until(ended.is_set)
    await notes.write("client", stream, b"late")
    await notes.read("client", stream)


@case(
    client=["read hello", "write waits", "write cancelled", "write ended", "read ended CANCELLED"],
    server=["write taken", "cancelled", "read None"],
)
async def the_clients_writing_task_is_cancelled(world: World) -> None:
    """In mid-write: it ends the whole stream as well."""
    notes = world.notes
    ended = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            await asyncio.shield(asyncio.create_task(look(stream)))
            ended.set()
            raise

    async def look(stream: ServedStream) -> None:
        await notes.read("server", stream)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    writer, _ = await notes.fill("client", stream)
    await cancel_and_wait(writer)
    await until(ended.is_set)
    await notes.write("client", stream, b"late")
    await notes.read("client", stream)


@case(server=["cancelled"], writer=["write waits", "write ended"])
async def client_cancels_under_the_servers_blocked_write(world: World) -> None:
    notes = world.notes
    cancelled = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def talk(stream: ServedStream) -> None:
        task, _ = await notes.fill("writer", stream)
        tasks.append(task)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            cancelled.set()
            raise

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await until(lambda: bool(tasks))
    stream.cancel()
    await until(cancelled.is_set)
    await asyncio.wait(tasks)


@case(client=["read works again", "read None"], server=["write waits", "write cancelled", "write ended", "write taken"])
async def server_write_cancelled_in_mid_write(world: World) -> None:
    """It still goes out when there is room; until then further writes are refused; then they work again."""
    notes = world.notes
    refused, go_on = asyncio.Event(), asyncio.Event()
    counts: list[int] = []

    async def talk(stream: ServedStream) -> None:
        task, count = await notes.fill("server", stream)
        counts.append(count)
        await cancel_and_wait(task)
        await notes.write("server", stream, b"refused")
        refused.set()
        await go_on.wait()
        await notes.write("server", stream, b"works again")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await until(refused.is_set)
    for _ in range(counts[0]):
        assert await stream.read() == CHUNK
    await world.settle()
    go_on.set()
    await notes.read("client", stream)
    await notes.read("client", stream)


@case(client=["read None"], server=["write waits", "write cancelled"])
async def server_ends_after_a_write_cancelled_in_mid_write(world: World) -> None:
    notes = world.notes
    ended = asyncio.Event()
    counts: list[int] = []

    async def talk(stream: ServedStream) -> None:
        task, count = await notes.fill("server", stream)
        await cancel_and_wait(task)
        counts.append(count)
        ended.set()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await until(ended.is_set)
    for _ in range(counts[0]):
        assert await stream.read() == CHUNK
    await notes.read("client", stream)


@case(
    server=["write taken", "write taken", "cancelled", "cancelled"],
    one=["read hello", "read waits", "read ended CANCELLED"],
    other=["read hello", "read ended CANCELLED", "write ended"],
)
async def connection_closed_with_streams_open(world: World) -> None:
    notes = world.notes
    ended: list[str] = []

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            ended.append("")
            raise

    await world.serve({"Talk": talk})
    connection = world.connect()
    one, other = open_talk(connection), open_talk(connection)
    await notes.read("one", one)
    await notes.read("other", other)
    reader = asyncio.create_task(notes.read("one", one))
    await notes.blocked("one", "read", reader)
    await connection.close()
    await asyncio.wait({reader})
    await notes.read("other", other)
    await notes.write("other", other, b"late")
    await until(lambda: len(ended) == 2)
    await connection.close()


@case(client=["read ended CANCELLED", "write ended", "read ended CANCELLED", "write ended"])
async def cancel_at_once(world: World) -> None:
    """Before there is a connection. Whether a handler is called, and cancelled, depends on who is faster."""
    notes = world.notes
    await world.serve({"Talk": _wait})
    connection = world.connect()
    early, late = open_talk(connection), open_talk(connection)
    early.cancel()
    await asyncio.sleep(0)
    late.cancel()
    for stream in (early, late):
        await notes.read("client", stream)
        await notes.write("client", stream, b"late")
    await world.settle()


@case(client=["read cancelled", "read ended CANCELLED", "write ended"])
async def a_read_cancelled_at_once(world: World) -> None:
    notes = world.notes
    await world.serve({"Talk": _wait})
    stream = open_talk(world.connect())
    reader = asyncio.create_task(notes.read("client", stream))
    await asyncio.sleep(0)
    await cancel_and_wait(reader)
    await notes.read("client", stream)
    await notes.write("client", stream, b"late")
    await world.settle()


async def _wait(_stream: ServedStream) -> None:
    await asyncio.Event().wait()
