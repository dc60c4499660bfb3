"""A connection that is over: whoever opens a stream on it is told as for any stream that has ended, and it dials nobody."""

from __future__ import annotations

import asyncio
import socket

import grpc.aio
import pytest

from hermes_wire.byte_stream import GrpcConnection, StreamEndedError

PATH = "/service/Method"
LONGEST_BACKOFF_S = 1.2
"""Before gRPC dials for a second time."""


async def test_a_connection_that_was_closed_opens_no_stream() -> None:
    connection = GrpcConnection(grpc.aio.insecure_channel("127.0.0.1:1"))
    await connection.close()
    await connection.close()
    with pytest.raises(StreamEndedError):
        connection.open(PATH)


async def test_a_connection_that_was_closed_dials_nobody_whoever_keeps_what_became_of_it() -> None:
    """It held a place at a node that had come back, for as long as its app remembered why it had been lost."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host, port = listener.getsockname()
        connection = GrpcConnection(grpc.aio.insecure_channel(f"{host}:{port}"))
        stream = connection.open(PATH)
        with pytest.raises(StreamEndedError) as kept:
            await stream.read()
        stream.cancel()
        await connection.close()
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().sock_accept(listener), 1.5 * LONGEST_BACKOFF_S)
    assert "UNAVAILABLE" in str(kept.value)
    with pytest.raises(StreamEndedError, match="UNAVAILABLE"):
        await stream.read()
    for again in (stream.write(b""), stream.done_writing()):
        with pytest.raises(StreamEndedError):
            await again


async def test_a_connection_that_is_closed_ends_its_streams_also_when_whoever_closes_it_is_cancelled() -> None:
    """gRPC says of a call that this end cancelled that somebody cancelled the task, which here is true as well."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host, port = silent.getsockname()
        connection = GrpcConnection(grpc.aio.insecure_channel(f"{host}:{port}"))
        streams = [connection.open(PATH) for _ in range(3)]
        closed = asyncio.Event()

        async def hold() -> None:
            try:
                await streams[0].read()
            finally:
                await connection.close()
                closed.set()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0.1)
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
        assert closed.is_set()
        for stream in streams:
            with pytest.raises(StreamEndedError, match="CANCELLED"):
                await stream.read()
