"""Another process with this node's key, as a copied data folder makes one: which of the two gives way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.messages import ErrorNotice
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.interface import MeshListener
from hermes_node.mesh.streams import MeshStream
from hermes_node.metrics.labels import LieLabel
from hermes_node.metrics.mesh_series import MeshMetrics
from hermes_node.streams.outbox import LAST_WORDS_S
from hermes_wire.byte_stream import StreamEndedError

_BOTH: Final = "both served until now"
_THIS: Final = "this one is newer, and gives way"
_OTHER: Final = "the other one is newer, and gives way"


async def meet_second_self(
    stream: MeshStream[Any], listener: MeshListener, log: EventLog, metrics: MeshMetrics, *, serves: bool
) -> None:
    """It proved our key just now. A newcomer, which nobody has heard of (`serves` not), gives way; of two that serve both stop.

    Whoever goes on says so as well: somebody has copied its keystore.
    """
    gives_way = ErrorNotice(ErrorCode.DRAINING, ErrorScope.STREAM, None, "it has another one's key, and gives way", 0)
    await stream.send(MembershipUpdate(()) if serves else gives_way)
    both = serves and isinstance(await stream.receive(), MembershipUpdate)
    log.error("second_self_met", reason=_BOTH if both else _OTHER if serves else _THIS)
    metrics.count_lie(LieLabel.TWO_SELVES)
    if both or not serves:
        try:
            with suppress(
                StreamEndedError, TimeoutError
            ):  # what was said last arrives before this process, and its streams, end
                async with asyncio.timeout(LAST_WORDS_S):
                    await stream.receive()
        finally:  # the other one's end cancels whoever serves its stream
            listener.second_self(_BOTH if both else _THIS)
