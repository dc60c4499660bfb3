"""grpc-go against the shell: it asks for its round trip with each read, and has other windows than the C core."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.component.transport.bars import BAR
from tests.component.transport.go_programs import build
from tests.component.transport.serving import serving

pytestmark = [BAR, pytest.mark.timeout(600)]

SOURCE = Path(__file__).with_name("client.go")
GRPC_GO = "google.golang.org/grpc@v1.75.0"
RUN_S = 60.0


async def test_go_client() -> None:
    program = await asyncio.to_thread(build, SOURCE, GRPC_GO)
    async with serving() as watched, asyncio.timeout(RUN_S):
        process = await asyncio.create_subprocess_exec(program, watched.address, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    assert json.loads(output) == dict.fromkeys(("reads", "large", "many", "stopped", "ends"), "ok")
    assert watched.refused == []
