"""Lines of standard input, read without a thread."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from hermes_core.ratchet.padding import MAX_CONTENT_BYTES


async def read_lines() -> AsyncIterator[str]:
    """Until it ends; of a line that is far too long for a message, its pieces."""
    reader = asyncio.StreamReader(limit=MAX_CONTENT_BYTES)
    # A terminal is opened anew: reading must not wait, and what is set on this opening of it holds for writing to it as well.
    source = os.fdopen(os.open(os.ttyname(sys.stdin.fileno()), os.O_RDONLY | os.O_NOCTTY)) if sys.stdin.isatty() else sys.stdin
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    try:
        while line := await _read_line(reader):
            yield line.decode(errors="replace")
    finally:
        transport.close()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as overrun:
        return await reader.readexactly(overrun.consumed)
