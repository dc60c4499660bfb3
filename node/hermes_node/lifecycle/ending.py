"""How a node that serves ends: apps are told to look elsewhere and given time, chats are closed if asked for, streams end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hermes_core.errors import ErrorCode
from hermes_core.protocol.messages import CloseReason
from hermes_core.protocol.session import NodeChange
from hermes_node.admin.departure import Departure
from hermes_node.chats.driver import ChatDriver
from hermes_node.lifecycle.steps import Serving

STREAM_GRACE_S: Final = 1.0
POLL_S: Final = 0.05


def build_change(departure: Departure, timeout_s: float) -> NodeChange:
    """What the apps are told: to look elsewhere within `timeout_s`, and what becomes of their chats."""
    return NodeChange(int(timeout_s * 1000), departure.back_within_ms, departure.for_good)


async def wait_until_left(chats: ChatDriver, timeout_s: float, now: Callable[[], float]) -> None:
    """Give apps that long to leave."""
    deadline = now() + timeout_s
    while chats.count_apps() and now() < deadline:  # noqa: ASYNC110 - a bounded wait at the very end
        await asyncio.sleep(POLL_S)


async def close_chats(chats: ChatDriver) -> None:
    """Take none in any more, tell every app and node that this one gives its chats up, and see that written."""
    chats.drain(NodeChange(0))
    chats.close_all(CloseReason.NODE_SHUTDOWN)
    await chats.flush()


async def end_streams(serving: Serving) -> None:
    """Apps and nodes hear that this node goes; what they said until then is committed."""
    serving.chats.end_apps(ErrorCode.DRAINING, "this node stops")
    await serving.chats.flush()
    await serving.mesh.leave()
    await asyncio.gather(*(server.stop(STREAM_GRACE_S) for server in serving.servers))
    await serving.mesh.close()
    await serving.chats.flush()
