"""Flow control: a writer is held back by a reader that does not read, and by no other."""

from __future__ import annotations

import asyncio
from typing import Final

from hermes_node.streams.transport import ServedStream
from tests.component.simulation.contract import CHUNK, World, case, until
from tests.component.simulation.worlds import open_talk

LARGE: Final = b"l" * 3 * 2**20


@case(client=["write waits", "write taken", "write taken", "done_writing taken", "read None"], server=["read all"])
async def client_is_held_back_until_the_server_reads(world: World) -> None:
    notes = world.notes
    read_on = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await read_on.wait()
        received = 0
        while (data := await stream.read()) is not None:
            assert data in {CHUNK, b"after"}
            received += 1
        await stream.write(b"%d" % received)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    writer, count = await notes.fill("client", stream)
    read_on.set()
    await writer
    await notes.write("client", stream, b"after")
    await notes.done_writing("client", stream)
    received = await stream.read()
    notes.add("server", "read all" if received == b"%d" % (count + 1) else f"read {received!r} of {count + 1}")
    await notes.read("client", stream)


@case(client=["read after", "read None"], server=["write waits", "write taken", "write taken"])
async def server_is_held_back_until_the_client_reads(world: World) -> None:
    notes = world.notes
    counts: list[int] = []

    async def talk(stream: ServedStream) -> None:
        writer, count = await notes.fill("server", stream)
        counts.append(count)
        await writer
        await notes.write("server", stream, b"after")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await until(lambda: bool(counts))
    for _ in range(counts[0]):
        assert await stream.read() == CHUNK
    await notes.read("client", stream)
    await notes.read("client", stream)


@case(client=["write waits", "write taken", "done_writing taken", "read None"], first=["write taken"])
async def large_messages(world: World) -> None:
    """A first one leaves even when nobody reads; those that follow soon wait."""
    notes = world.notes
    read_on = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await read_on.wait()
        while await stream.read() is not None:
            pass

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("first", stream, LARGE)
    writer, _ = await notes.fill("client", stream, LARGE)
    read_on.set()
    await writer
    await notes.done_writing("client", stream)
    await notes.read("client", stream)


@case(
    echo=["write taken", "read one", "write taken", "read two", "done_writing taken", "read None"],
    stuck=["write waits", "write over"],
)
async def two_streams_of_one_connection(world: World) -> None:
    """One is held back and then cancelled; the other goes on."""
    notes = world.notes
    cancelled = asyncio.Event()

    async def ignore(stream: ServedStream) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await world.serve({"Ignore": ignore})
    connection = world.connect()
    stuck, echo = open_talk(connection, "Ignore"), open_talk(connection, "Echo")
    writer, _ = await notes.fill("stuck", stuck)
    await notes.write("echo", echo, b"one")
    await notes.read("echo", echo)
    stuck.cancel()
    await notes.write_over("stuck", writer)
    await until(cancelled.is_set)
    await notes.write("echo", echo, b"two")
    await notes.read("echo", echo)
    await notes.done_writing("echo", echo)
    await notes.read("echo", echo)


@case(client=["write waits", "write taken", "read last", "read None", "read None", "write ended"], server=["write taken"])
async def handler_returns_while_the_clients_write_is_held_back(world: World) -> None:
    notes = world.notes
    leave = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await leave.wait()
        await notes.write("server", stream, b"last")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    writer, _ = await notes.fill("client", stream)
    leave.set()
    await asyncio.wait({writer})
    for _ in range(3):
        await notes.read("client", stream)
    await notes.write("client", stream, b"late")


@case(client=["write waits", "write taken"], server=["write taken"], reader=["read last", "read None", "read None"])
async def handler_returns_under_the_clients_read_and_write(world: World) -> None:
    """Both wait, as a client's do; the read comes back first."""
    notes = world.notes
    leave = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await leave.wait()
        await notes.write("server", stream, b"last")

    async def read_on() -> None:
        await notes.read("reader", stream)
        await notes.read("reader", stream)
        await notes.read("reader", stream)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    reader = asyncio.create_task(read_on())
    writer, _ = await notes.fill("client", stream)
    leave.set()
    await asyncio.wait({writer, reader})
