"""How streams end in order, and what is written and read around the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from hermes_node.streams.transport import ServedStream
from tests.component.simulation.contract import World, cancel_and_wait, case
from tests.component.simulation.worlds import open_talk


@case(
    client=[
        "write taken",
        "read one",
        "write taken",
        "read two",
        "done_writing taken",
        "read last words",
        "read None",
        "read None",
    ],
    server=["read None", "read None", "write taken"],
)
async def echo_until_the_client_has_said_everything(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        for _ in range(2):
            data = await stream.read()
            assert data is not None
            await stream.write(data)
        await notes.read("server", stream)
        await notes.read("server", stream)
        await notes.write("server", stream, b"last words")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    for data in (b"one", b"two"):
        await notes.write("client", stream, data)
        await notes.read("client", stream)
    await notes.done_writing("client", stream)
    for _ in range(3):
        await notes.read("client", stream)


@case(
    client=["write taken", "done_writing taken", "read 0", "read 1", "read 2", "read 3", "read 4", "read None"],
    server=["read only", "read None"],
)
async def half_open_with_much_to_say(world: World) -> None:
    """The client has said everything at once; the server goes on for long."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        await notes.read("server", stream)
        for number in range(5):
            await stream.write(b"%d" % number)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"only")
    await notes.done_writing("client", stream)
    for _ in range(6):
        await notes.read("client", stream)


@case(
    client=[
        "write taken",
        "write taken",
        "write taken",
        "done_writing taken",
        "read x",
        "read y",
        "read z",
        "read None",
        "read None",
    ],
    server=["read a", "read b", "read c", "read None", "write taken", "write taken", "write taken"],
)
async def last_messages_come_before_the_end(world: World) -> None:
    """Both sides read late, when the other side's end is there already."""
    notes = world.notes
    late = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        await late.wait()
        for _ in range(4):
            await notes.read("server", stream)
        for data in (b"x", b"y", b"z"):
            await notes.write("server", stream, data)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    for data in (b"a", b"b", b"c"):
        await notes.write("client", stream, data)
    await notes.done_writing("client", stream)
    await world.settle()
    late.set()
    await world.settle()
    for _ in range(5):
        await notes.read("client", stream)


@case(
    client=["write taken", "write ended INTERNAL", "read ended INTERNAL", "write ended", "read ended INTERNAL"],
    server=["read one", "write taken"],
)
async def a_write_before_the_last_words_are_read(world: World) -> None:
    """The server has ended. The write is refused, and with it gRPC's Python forgets the last words and how the stream ended."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        await notes.write("server", stream, b"last")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await world.settle()
    await notes.write("client", stream, b"two")
    await notes.read("client", stream)
    await world.settle()
    await notes.write("client", stream, b"three")
    await notes.read("client", stream)


@case(client=["write ended", "read None"], server=["returned"])
async def after_an_end_without_words(world: World) -> None:
    """The server's handler returns at once; the client finds out by writing."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        notes.add("server", "returned")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await world.settle()
    await notes.write("client", stream, b"late")
    await notes.read("client", stream)


@case(
    client=["write taken", "read None", "write ended", "done_writing taken", "read None", "read None", "write ended"],
    server=["read one"],
)
async def handler_returns_while_the_client_writes(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.read("client", stream)
    await notes.write("client", stream, b"two")
    await notes.done_writing("client", stream)
    await notes.read("client", stream)
    stream.cancel()
    stream.cancel()
    await notes.read("client", stream)
    await notes.write("client", stream, b"three")


@case(client=["read hello", "read None"], server=["write taken"], reader=["read ended", "read ended", "write ended"])
async def handler_returns_while_its_reader_reads(world: World) -> None:
    """A task of the handler's that outlives it."""
    notes = world.notes
    readers: list[asyncio.Task[None]] = []

    async def read_on(stream: ServedStream) -> None:
        for _ in range(2):
            await notes.read("reader", stream)
        await notes.write("reader", stream, b"late")

    async def talk(stream: ServedStream) -> None:
        readers.append(asyncio.create_task(read_on(stream)))
        await notes.write("server", stream, b"hello")
        await asyncio.sleep(0.05)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    for _ in range(2):
        await notes.read("client", stream)
    await asyncio.wait(readers)


@case(client=["read hello", "read None", "write ended"], server=["write taken"], reader=["read cancelled"])
async def handler_cancels_its_reader_and_returns(world: World) -> None:
    """As the node does it: the reader is cancelled in a read, and the end still comes."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        reader = asyncio.create_task(notes.read("reader", stream))
        await notes.write("server", stream, b"hello")
        await asyncio.sleep(0)
        await cancel_and_wait(reader)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    for _ in range(2):
        await notes.read("client", stream)
    await notes.write("client", stream, b"late")


@case(
    client=["read hello", "read cancelled", "write taken", "write taken", "done_writing taken", "read None"],
    server=["write taken", "read cancelled", "read None", "write taken", "read two", "read None"],
)
async def a_cancelled_read_of_the_server(world: World) -> None:
    """It still takes the next message, which is lost; until it has, another read takes the stream for ended."""
    notes = world.notes
    again = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        reader = asyncio.create_task(notes.read("server", stream))
        await notes.write("server", stream, b"hello")
        await asyncio.sleep(0.05)
        await cancel_and_wait(reader)
        await notes.read("server", stream)
        await notes.write("server", stream, b"cancelled")
        await again.wait()
        for _ in range(2):
            await notes.read("server", stream)

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    for _ in range(2):
        await notes.read("client", stream)
    for data in (b"one", b"two"):
        await notes.write("client", stream, data)
    await notes.done_writing("client", stream)
    await world.settle()
    again.set()
    await notes.read("client", stream)


@case(
    client=[
        "write taken",
        "read last",
        "write taken",
        "read waits",
        "done_writing taken",
        "read waits",
        "read cancelled",
        "write ended",
    ],
    server=["read one", "write taken"],
)
async def handler_leaves_without_a_status(world: World) -> None:
    """`reset_stream`: the client is told nothing; it can read what was said, and write into the void, until it cancels."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        await notes.write("server", stream, b"last")
        raise asyncio.CancelledError

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.read("client", stream)
    await world.settle()
    await notes.write("client", stream, b"two")
    reader = asyncio.create_task(notes.read("client", stream))
    await notes.blocked("client", "read", reader)
    await notes.done_writing("client", stream)
    await notes.blocked("client", "read", reader)
    await cancel_and_wait(reader)
    await notes.write("client", stream, b"three")


@case(
    client=["write taken", "read ended UNKNOWN", "read ended UNKNOWN", "write ended", "done_writing taken"], server=["read one"]
)
async def handler_fails(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        raise ValueError("a defect of the script")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.read("client", stream)
    await notes.read("client", stream)
    await notes.write("client", stream, b"two")
    await notes.done_writing("client", stream)


@case(
    client=["write taken", "read a", "read b", "read ended UNKNOWN", "read ended UNKNOWN"],
    server=["read one", "write taken", "write taken"],
)
async def handler_fails_after_words_that_nobody_read(world: World) -> None:
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        for data in (b"a", b"b"):
            await notes.write("server", stream, data)
        raise ValueError("a defect of the script")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await world.settle()
    for _ in range(4):
        await notes.read("client", stream)


@case(
    client=[
        "write taken",
        "done_writing taken",
        "done_writing taken",
        "write ended",
        "read answer",
        "read None",
        "done_writing taken",
    ],
    server=["read one", "read None", "read None", "write taken"],
)
async def done_writing_twice_and_write_after_it(world: World) -> None:
    notes = world.notes
    more = asyncio.Event()

    async def talk(stream: ServedStream) -> None:
        for _ in range(3):
            await notes.read("server", stream)
        await more.wait()
        await notes.write("server", stream, b"answer")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await notes.done_writing("client", stream)
    await notes.done_writing("client", stream)
    await notes.write("client", stream, b"two")
    await world.settle()
    more.set()
    for _ in range(2):
        await notes.read("client", stream)
    await notes.done_writing("client", stream)


@case(client=["read ended UNIMPLEMENTED", "read ended UNIMPLEMENTED", "write ended"])
async def nobody_serves_the_method(world: World) -> None:
    notes = world.notes
    await world.serve({})
    stream = open_talk(world.connect(), "Other")
    await notes.read("client", stream)
    await notes.read("client", stream)
    await notes.write("client", stream, b"late")


@case(client=["done_writing taken", "read hello", "read None"], server=["read None", "write taken"])
async def done_writing_at_once(world: World) -> None:
    """Before there is a connection, and before anything was written."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        await notes.write("server", stream, b"hello")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.done_writing("client", stream)
    await notes.read("client", stream)
    await notes.read("client", stream)


@case(client=["write taken", "done_writing taken", "read last", "read None"], server=["read one", "write taken"])
async def done_writing_before_the_last_words_are_read(world: World) -> None:
    """Unlike a write it does no harm."""
    notes = world.notes

    async def talk(stream: ServedStream) -> None:
        await notes.read("server", stream)
        await notes.write("server", stream, b"last")

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await world.settle()
    await notes.done_writing("client", stream)
    await notes.read("client", stream)
    await notes.read("client", stream)


@case(client=["write taken", "write after others", "read after others"], server=["read after others", "write after others"])
async def calls_let_other_tasks_run(world: World) -> None:
    """Even those that need not wait."""
    notes = world.notes
    loop = asyncio.get_running_loop()

    async def watch(who: str, what: str, call: Awaitable[object]) -> None:
        others: list[str] = []
        loop.call_soon(others.append, "")
        await call
        notes.add(who, f"{what} after others" if others else f"{what} at once")

    async def talk(stream: ServedStream) -> None:
        await stream.read()
        await world.settle()
        await watch("server", "read", stream.read())
        await watch("server", "write", stream.write(b"hello"))

    await world.serve({"Talk": talk})
    stream = open_talk(world.connect())
    await notes.write("client", stream, b"one")
    await watch("client", "write", stream.write(b"two"))
    await world.settle()
    await watch("client", "read", stream.read())
