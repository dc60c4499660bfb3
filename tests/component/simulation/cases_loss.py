"""Servers that stop, die, or were never there."""

from __future__ import annotations

import asyncio

from hermes_node.streams.transport import ServedStream
from tests.component.simulation.contract import BLOCKED_S, World, case, until
from tests.component.simulation.worlds import open_talk


@case(
    client=["read ended UNAVAILABLE", "read ended UNAVAILABLE", "write ended", "done_writing taken", "read ended UNAVAILABLE"]
)
async def nobody_listens_and_the_client_reads(world: World) -> None:
    notes = world.notes
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    await notes.read("client", stream)
    await notes.write("client", stream, b"late")
    await notes.done_writing("client", stream)
    stream.cancel()
    await notes.read("client", stream)


@case(client=["write ended UNAVAILABLE", "write ended", "read ended UNAVAILABLE"])
async def nobody_listens_and_the_client_writes(world: World) -> None:
    notes = world.notes
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.write("client", stream, b"two")
    await notes.read("client", stream)


@case(reader=["read ended UNAVAILABLE"], writer=["write ended UNAVAILABLE"])
async def nobody_listens_and_the_client_reads_and_writes(world: World) -> None:
    """A read and a write that both wait for the connection."""
    notes = world.notes
    stream = open_talk(world.connect())
    await asyncio.gather(notes.read("reader", stream), notes.write("writer", stream, b"one"))


@case(
    client=[
        "write taken",
        "read one",
        "read two",
        "read three",
        "read waits",
        "read ended UNAVAILABLE",
        "write ended",
        "done_writing taken",
        "read ended UNAVAILABLE",
    ]
)
async def server_killed_under_a_read(world: World) -> None:
    notes = world.notes
    await world.serve_apart()
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    for _ in range(3):
        await notes.read("client", stream)
    reader = asyncio.create_task(notes.read("client", stream))
    await notes.blocked("client", "read", reader)
    await world.kill()
    await reader
    await notes.write("client", stream, b"late")
    await notes.done_writing("client", stream)
    await notes.read("client", stream)


@case(
    client=[
        "write taken",
        "read one",
        "read ended UNAVAILABLE",
        "read ended UNAVAILABLE",
        "read ended UNAVAILABLE",
        "read ended UNAVAILABLE",
    ]
)
async def server_killed_with_messages_unread(world: World) -> None:
    notes = world.notes
    await world.serve_apart()
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.read("client", stream)
    await world.settle()
    await world.kill()
    await asyncio.sleep(0.5)
    for _ in range(4):
        await notes.read("client", stream)


@case(client=["read hello", "write waits", "write ended INTERNAL", "read ended", "write ended"])
async def server_killed_under_a_write_that_is_held_back(world: World) -> None:
    notes = world.notes
    await world.serve_apart()
    stream = open_talk(world.connect(), "Ignore")
    await notes.read("client", stream)
    writer, _ = await notes.fill("client", stream)
    await world.kill()
    await writer
    await notes.read("client", stream, coded=False)
    await notes.write("client", stream, b"late")


@case(
    client=["read hello", "stop waits", "done_writing taken", "read bye", "read None"],
    server=["write taken", "read None", "write taken"],
    late=["read ended UNAVAILABLE"],
)
async def server_stops_in_time(world: World) -> None:
    """One stream ends by itself, told through the other side's end; a new one is refused."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        await notes.read("server", stream)
        await notes.write("server", stream, b"bye")

    await world.serve({"Talk": talk})
    connection = world.connect()
    stream = open_talk(connection)
    await notes.read("client", stream)
    stopping = asyncio.create_task(world.stop(10.0))
    await notes.blocked("client", "stop", stopping)
    late = open_talk(world.connect())
    await notes.read("late", late)
    await notes.done_writing("client", stream)
    await notes.read("client", stream)
    await notes.read("client", stream)
    await stopping


@case(
    client=["read hello", "read ended UNAVAILABLE", "read ended UNAVAILABLE", "write ended"],
    server=["write taken", "cancelled"],
    reader=["read None", "write ended"],
)
async def server_stops_with_a_stream_that_does_not_end(world: World) -> None:
    notes = world.notes
    cancelled = asyncio.Event()
    readers: list[asyncio.Task[None]] = []

    async def read_on(stream: ServedStream) -> None:
        await notes.read("reader", stream)
        await notes.write("reader", stream, b"late")

    async def talk(stream: ServedStream) -> None:
        readers.append(asyncio.create_task(read_on(stream)))
        await notes.write("server", stream, b"hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            cancelled.set()
            raise

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    await world.stop(0.2)
    await until(cancelled.is_set)
    await asyncio.wait(readers)
    await notes.read("client", stream)
    await notes.read("client", stream)
    await notes.write("client", stream, b"late")


@case(
    client=["write taken", "read a", "read b", "read c", "read ended UNAVAILABLE", "read ended UNAVAILABLE"],
    server=["write taken", "write taken", "write taken", "read ended", "write ended"],
)
async def server_stops_with_messages_unread(world: World) -> None:
    """The client can still read them; the server cannot. Its handler may outlive the stop."""
    notes = world.notes
    stopped, ended = asyncio.Event(), asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        for data in (b"a", b"b", b"c"):
            await notes.write("server", stream, data)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.create_task(look(stream)))
            raise

    async def look(stream: ServedStream) -> None:
        await stopped.wait()
        await notes.read("server", stream)
        await notes.write("server", stream, b"late")
        ended.set()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await world.settle()
    await world.stop(0.0)
    stopped.set()
    await until(ended.is_set)
    await asyncio.sleep(0.3)
    for _ in range(5):
        await notes.read("client", stream)


@case(client=["write waits", "write taken", "read much"], writer=["write waits", "write ended"])
async def server_stops_under_writes_that_are_held_back(world: World) -> None:
    """Of both ends."""
    notes = world.notes
    tasks: list[asyncio.Task[None]] = []

    async def talk(stream: ServedStream) -> None:
        tasks.append((await notes.fill("writer", stream))[0])
        await asyncio.Event().wait()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    writer, _ = await notes.fill("client", stream)
    await until(lambda: bool(tasks))
    await world.stop(0.0)
    await asyncio.wait({writer, *tasks})
    await notes.read("client", stream)


@case(client=["read hello"], server=["read ended", "write ended"])
async def use_of_a_stream_after_its_server_stopped(world: World) -> None:
    notes = world.notes
    streams: list[ServedStream] = []

    async def talk(stream: ServedStream) -> None:
        streams.append(stream)
        await stream.write(b"hello")
        await asyncio.Event().wait()

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    await world.stop(0.0)
    await notes.read("server", streams[0])
    await notes.write("server", streams[0], b"late")


@case(client=["read hello", "stop waits", "read ended UNAVAILABLE"], server=["write taken"])
async def server_stops_with_a_stream_whose_handler_left_without_a_status(world: World) -> None:
    """It takes the whole grace, and the client is told at last."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.write("server", stream, b"hello")
        raise asyncio.CancelledError

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.read("client", stream)
    stopping = asyncio.create_task(world.stop(3 * BLOCKED_S))
    await notes.blocked("client", "stop", stopping)
    await stopping
    await notes.read("client", stream)


@case(server=["cancelled"], reader=["read one", "read None", "write ended"])
async def client_killed(world: World) -> None:
    """As if it had cancelled: what was not read yet is lost."""
    notes = world.notes
    go_on, read, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read_on(stream: ServedStream) -> None:
        await notes.read("reader", stream)
        read.set()
        await go_on.wait()
        await notes.read("reader", stream)
        await notes.write("reader", stream, b"late")
        ended.set()

    async def talk(stream: ServedStream) -> None:
        reader = asyncio.create_task(read_on(stream))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            go_on.set()
            await asyncio.shield(reader)
            raise

    await world.serve({"Talk": talk})
    await world.dial_apart()
    await until(read.is_set)
    await asyncio.sleep(0.1)
    await world.kill()
    await until(ended.is_set)


@case(server=["cancelled"], reader=["read one", "read two", "read None"])
async def client_killed_under_a_read(world: World) -> None:
    notes = world.notes
    ended = asyncio.Event()

    async def read_on(stream: ServedStream) -> None:
        for _ in range(3):
            await notes.read("reader", stream)

    async def talk(stream: ServedStream) -> None:
        reader = asyncio.create_task(read_on(stream))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.add("server", "cancelled")
            await asyncio.shield(reader)
            ended.set()
            raise

    await world.serve({"Talk": talk})
    await world.dial_apart()
    await until(lambda: len(notes.lines.get("reader", [])) == 2)
    await world.kill()
    await until(ended.is_set)
