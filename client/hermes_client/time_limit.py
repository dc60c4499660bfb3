"""The time limit of a call that waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hermes_client.errors import CallTimeoutError


@asynccontextmanager
async def time_limit(timeout_s: float | None, what: str) -> AsyncIterator[None]:
    """CallTimeoutError when `what` takes longer; a TimeoutError of somebody else's passes as it is."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise CallTimeoutError(f"{what}: not done in {timeout_s:g} s") from None
