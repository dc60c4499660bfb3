"""This node in between two others: it passes on what they say to each other, a piece at a time, and cannot read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.messages import Carried
from hermes_core.mesh.carry.places import CarryPlace, CarryPlaces, CarryRefusal, CarryRefusedError
from hermes_core.mesh.messages import NodeDescriptor
from hermes_node.mesh.handshake import expect
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer
from hermes_node.mesh.streams import MeshStream
from hermes_node.metrics.labels import CarryRefusalLabel
from hermes_node.metrics.registry import NodeMetrics


class ThirdNode:
    """The owner of what is carried. Nothing waits here: who is not read from is not read from either."""

    def __init__(self, places: CarryPlaces, now: Callable[[], float], metrics: NodeMetrics) -> None:
        self._places = places
        self._now = now
        self._metrics = metrics
        self._replaced: dict[int, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._places)

    async def carry(self, origin: NodeId, found: NodeDescriptor | None, stream: MeshStream[Any], dialer: Dialer | None) -> None:
        """Until either end is gone. `found`: the target, where a link of this node's own to it stands.

        Raise ProtocolError for whoever asked, StreamEndedError when they are gone.
        """
        try:
            if found is None or dialer is None:
                raise CarryRefusedError(CarryRefusal.NO_LINK)  # noqa: TRY301
            place, former = self._places.take(origin, found.node_id, self._now())
        except CarryRefusedError as error:
            self._metrics.mesh.count_carry_refused(CarryRefusalLabel[error.reason.name])
            raise
        if former is not None:
            self._replaced[former.number].set()
        replaced = self._replaced[place.number] = asyncio.Event()
        try:
            await self._join(origin, found, stream, dialer, place, replaced)
        finally:
            self._places.free(place)
            del self._replaced[place.number]

    async def _join(
        self,
        origin: NodeId,
        target: NodeDescriptor,
        stream: MeshStream[Any],
        dialer: Dialer,
        place: CarryPlace,
        replaced: asyncio.Event,
    ) -> None:
        try:
            async with dialer.carry_on(target, origin) as onward:
                there = asyncio.create_task(self._pass_on(place, stream, onward))
                ways = [there, asyncio.create_task(self._pass_on(place, onward, stream)), asyncio.create_task(_wait(replaced))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    ends = await asyncio.gather(*ways, return_exceptions=True)
        except DIAL_FAILURES:
            detail = "that node does not answer this one"
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, detail, scope=ErrorScope.STREAM) from None
        if isinstance(ends[0], ProtocolError):
            raise ends[0]  # what whoever asked did wrong itself; every other end is one of the stream alone

    async def _pass_on(self, place: CarryPlace, source: MeshStream[Any], sink: MeshStream[Any]) -> None:
        while (message := await source.receive()) is not None:
            piece = expect(message, Carried)
            await sink.send(piece)
            wait_s = self._places.pace(place, len(piece.data), self._now())
            if wait_s:
                await asyncio.sleep(wait_s)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
