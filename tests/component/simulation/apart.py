"""A server and a client that are killed in the middle of a stream; as a program, either of them over real gRPC."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import grpc.aio

from hermes_client.host import connect_grpc
from hermes_client.tls import PLAIN
from hermes_node.streams.grpc_transport import stream_handler
from hermes_node.streams.transport import ServedStream, StreamHandler
from hermes_wire.byte_stream import Connection

SERVICE: Final = "hermes.test.Contract"


async def talk(stream: ServedStream) -> None:
    """Three messages for the first one; then nothing more, and no end."""
    await stream.read()
    for data in (b"one", b"two", b"three"):
        await stream.write(data)
    await asyncio.Event().wait()


async def ignore(stream: ServedStream) -> None:
    """Reads nothing."""
    await stream.write(b"hello")
    await asyncio.Event().wait()


async def echo(stream: ServedStream) -> None:
    while (data := await stream.read()) is not None:
        await stream.write(data)


HANDLERS: Final[dict[str, StreamHandler]] = {"Talk": talk, "Ignore": ignore, "Echo": echo}


async def dial(connection: Connection) -> None:
    """The client: two messages, and then nothing more."""
    stream = connection.open(f"/{SERVICE}/Talk")
    for data in (b"one", b"two"):
        await stream.write(data)
    await asyncio.Event().wait()


async def serve() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    server.add_generic_rpc_handlers((stream_handler(SERVICE, HANDLERS),))
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def main() -> None:
    """With an address the client, without one the server."""
    if sys.argv[1:]:
        await dial(connect_grpc(sys.argv[1], PLAIN))
    else:
        await serve()


if __name__ == "__main__":
    asyncio.run(main())
