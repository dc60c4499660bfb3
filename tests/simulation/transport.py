"""What a simulated node has of the network: servers for apps, with fronts or without, servers for nodes, and connections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from hermes_front.link.bounds import LinkBounds, Room
from hermes_front.owner.reports import EndReason, FrontEnded
from hermes_front.owner.server import FrontServer
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.turns import StrangersTurns
from hermes_node.config.addresses import Address
from hermes_node.config.sections import Config
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.front_reports import FrontReports
from hermes_node.streams.hermes_limits import build_limits
from hermes_node.streams.hermes_transport import HermesServer
from hermes_node.streams.transport import ServedStream, StreamHandler, StreamServer
from hermes_node.tls.files import ReloadingTls
from tests.simulation.front_door import SharedSocket
from tests.simulation.loop import CURRENT
from tests.simulation.network import SERVED, Network, SimConnection, SimServer

if TYPE_CHECKING:
    import socket

    from tests.simulation.fronts import Fronts
    from tests.simulation.streams import SimStream

KILLED: Final = "signal 9"
FIRST_ROOM: Final = Room(2, 4_096)
MORE_ROOM: Final = Room(1, 1_024)


class SimTransport:
    """`hermes_node.streams.transport.Transport` of one node."""

    def __init__(self, network: Network, fronts: Fronts, config: Config, metrics: NodeMetrics, log: EventLog) -> None:
        self.fronts = fronts.number
        self._of_machine = fronts
        self._network = network
        self._config = config
        self._metrics = metrics
        self._log = log

    def listen_for_apps(self, service: str, address: Address, tls: ReloadingTls | None) -> StreamServer:  # noqa: ARG002 - apps use none
        if not self.fronts:
            return SimServer(self._network, service, address, frozenset())
        process = CURRENT.get()
        assert process is not None
        shared = SharedSocket(self._network, address, self._of_machine.draws.of("accept", process.name))
        reports = _Reports(self._metrics, self._log, self._of_machine)
        server = _SimFrontServer(
            [cast("socket.socket", shared)],
            build_limits(self._config),
            self.fronts,
            reports,
            memory_bytes=self._config.limits.front_memory_mib << 20,
            spawn=self._of_machine.spawn,
        )
        self._metrics.fronts.bind(server.figures)
        served = HermesServer(server, service, address, self._metrics.grpc, _build_turns, reflects=True)
        return _FrontedServer(self._network, served, shared)

    def listen_for_nodes(self, service: str, address: Address, tls: ReloadingTls) -> SimServer:
        return SimServer(self._network, service, address, tls.material.names)

    def connect(self, address: str, server_name: str | None, tls: ReloadingTls) -> SimConnection:
        return SimConnection(self._network, address, tls.material.names, server_name or address.rpartition(":")[0])


def _build_turns() -> StrangersTurns:
    return StrangersTurns(asyncio.get_running_loop())


class _SimFrontServer(FrontServer):
    def bound_link(self, limits: Limits) -> LinkBounds:
        """Little room: streams of a world have few messages, and their credits are to run out all the same."""
        return replace(super().bound_link(limits), stranger_room=FIRST_ROOM, proven_room=MORE_ROOM)


class _Reports(FrontReports):
    """Whoever reads a world's zeros hears of an end of a front that nobody caused."""

    def __init__(self, metrics: NodeMetrics, log: EventLog, fronts: Fronts) -> None:
        super().__init__(metrics, log)
        self._fronts = fronts

    def ended(self, report: FrontEnded) -> None:
        super().ended(report)
        caused = {
            EndReason.STOPPED: True,
            EndReason.EXITED: report.detail == KILLED,
            EndReason.UNANSWERED: self._fronts.stood_still > 0,
        }
        if not caused.get(report.reason, False):
            self._fronts.loop.defects.append(f"a front ended by itself: {report.reason.value} {report.detail}")


class _FrontedServer:
    """`HermesServer`, with an ear at what a node writes: before its front has it, where it leaves without fronts."""

    def __init__(self, network: Network, server: HermesServer, shared: SharedSocket) -> None:
        self.address = server.address
        self._network = network
        self._server = server
        self._shared = shared

    async def start(self, handlers: Mapping[str, StreamHandler]) -> None:
        await self._server.start({name: self._watch(handler) for name, handler in handlers.items()})

    async def follow(self, ready: bool) -> None:
        await self._server.follow(ready)

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)

    def _watch(self, handler: StreamHandler) -> StreamHandler:
        async def serve(served: ServedStream) -> None:
            stream = self._shared.taken[int(served.peer_address().rpartition(":")[2])]
            SERVED.set(stream)
            await handler(_WatchedStream(self._network, served, stream, self._shared))

        return serve


class _WatchedStream:
    """A node's end of a stream that came by a front."""

    def __init__(self, network: Network, served: ServedStream, stream: SimStream, shared: SharedSocket) -> None:
        self._network = network
        self._stream = stream
        self._process = shared.process
        self._served = served
        self.read = served.read
        self.peer_names = served.peer_names
        self.peer_address = served.peer_address
        self.trust = served.trust

    async def write(self, data: bytes) -> None:
        self._network.written(self._stream, self._process, data)
        await self._served.write(data)
