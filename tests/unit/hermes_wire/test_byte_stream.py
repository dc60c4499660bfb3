"""A connection that is over: whoever opens a stream on it is told as for any stream that has ended."""

from __future__ import annotations

import grpc.aio
import pytest

from hermes_wire.byte_stream import GrpcConnection, StreamEndedError


async def test_a_connection_that_was_closed_opens_no_stream() -> None:
    connection = GrpcConnection(grpc.aio.insecure_channel("127.0.0.1:1"))
    await connection.close()
    with pytest.raises(StreamEndedError):
        connection.open("/service/Method")
