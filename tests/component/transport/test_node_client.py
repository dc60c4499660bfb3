"""grpc-js against the shell: nghttp2's frames and windows, which neither the C core nor Go has."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.component.transport.bars import BAR
from tests.component.transport.node_programs import prepare
from tests.component.transport.serving import serving

pytestmark = [BAR, pytest.mark.timeout(600)]

SOURCE = Path(__file__).with_name("client.js")
GRPC_JS = {"@grpc/grpc-js": "1.14.0"}
RUN_S = 60.0


async def test_node_client() -> None:
    node, program = await asyncio.to_thread(prepare, SOURCE, **GRPC_JS)
    async with serving() as watched, asyncio.timeout(RUN_S):
        process = await asyncio.create_subprocess_exec(node, program, watched.address, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    assert json.loads(output) == dict.fromkeys(("reads", "large", "many", "stopped", "ends"), "ok")
    assert watched.refused == []
