"""Wait until no node holds more chat records than before."""

from __future__ import annotations

import asyncio

from hermes_client.scenario.admin_client import AdminClient, count_chats
from hermes_client.scenario.pair import BrokenPromiseError

CLEAN_TIMEOUT_S = 15.0
POLL_S = 0.1


async def wait_nothing_left(admin: dict[str, AdminClient], before: dict[str, int]) -> str:
    """What the nodes hold now, in words; BrokenPromiseError when a record outlives its chat."""
    if not admin:
        return "the notice arrived; records not looked at (no admin server given)"
    deadline = asyncio.get_running_loop().time() + CLEAN_TIMEOUT_S
    while True:
        left = await count_chats(admin)
        excess = {node: count for node, count in left.items() if count > before.get(node, 0)}
        if not excess:
            return "chat records: " + ", ".join(f"{node} {count}" for node, count in left.items())
        if asyncio.get_running_loop().time() > deadline:
            raise BrokenPromiseError("records left over: " + ", ".join(f"{node} {count}" for node, count in excess.items()))
        await asyncio.sleep(POLL_S)
