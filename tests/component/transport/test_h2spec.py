"""h2spec, the conformance tests of HTTP/2, against the shell on a real socket: all of its 145."""

from __future__ import annotations

import asyncio
import re

import pytest

from hermes_h2.serving.call import Call
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.server import Server
from hermes_h2.serving.sockets import listen_on
from tests.component.transport.bars import BAR
from tests.component.transport.go_programs import H2SPEC, install

pytestmark = [BAR, pytest.mark.timeout(600)]

RUN_S = 100.0
CASES = 145
FIELD_BYTES = "3800"
"""A node takes lists of 8 KiB, as gRPC's library does; by itself h2spec sends two fields of 4,000 bytes."""


async def answer(call: Call) -> None:
    """h2spec does not speak gRPC: it asks for a page, and looks at the frames of the answer."""
    while await call.read() is not None:
        pass
    await call.write(b"a page")


async def test_h2spec_finds_nothing() -> None:
    program = await asyncio.to_thread(install, H2SPEC)
    server = Server(listen_on("127.0.0.1", 0), Limits(), only_grpc=False)
    await server.start({"/": answer})
    try:
        arguments = ["-h", "127.0.0.1", "-p", str(server.port), "-P", "/", "-o", "1", "--max-header-length", FIELD_BYTES]
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(RUN_S):
            output, _ = await process.communicate()
    finally:
        await server.stop(0)
    text = output.decode()
    summary = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", text)
    assert summary is not None, text
    assert [int(number) for number in summary.groups()] == [CASES, CASES, 0, 0], text
