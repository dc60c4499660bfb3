"""One mesh of two nodes for every test of a module that does no lasting harm to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.nodes import QUICK, wait_ready


@pytest.fixture(scope="module")
def mesh() -> Iterator[LocalMesh]:
    """Two ready nodes; LocalMesh is bound to no event loop, so that each test may use its own."""
    two = LocalMesh(2, settings=QUICK)

    async def start() -> None:
        await two.__aenter__()
        await wait_ready(two)

    asyncio.run(start())
    try:
        yield two
    finally:
        asyncio.run(two.close())
