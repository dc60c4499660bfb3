"""Another process with this node's key, as a copied data folder makes one: which of the two gives way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.messages import ErrorNotice
from hermes_node.mesh.interface import MeshListener
from hermes_node.mesh.streams import MeshStream
from hermes_node.streams.outbox import LAST_WORDS_S
from hermes_wire.byte_stream import StreamEndedError


async def meet_second_self(stream: MeshStream[Any], listener: MeshListener, *, serves: bool) -> None:
    """It proved our key just now. Who has not asked every seed yet (`serves` not) gives way; of two that have, both stop."""
    gives_way = ErrorNotice(ErrorCode.DRAINING, ErrorScope.STREAM, None, "it has another one's key, and gives way", 0)
    await stream.send(MembershipUpdate(()) if serves else gives_way)
    both = serves and isinstance(await stream.receive(), MembershipUpdate)
    if both or not serves:
        with suppress(StreamEndedError, TimeoutError):  # what was said last arrives before this process, and its streams, end
            async with asyncio.timeout(LAST_WORDS_S):
                await stream.receive()
        listener.second_self("both served until now" if both else "this one is newer, and gives way")
