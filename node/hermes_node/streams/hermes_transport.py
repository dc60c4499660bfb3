"""Both listeners on Hermes' own transport; nodes dial as gRPC's library does it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection

from hermes_front.owner.server import FrontServer, FrontStartError
from hermes_h2.events import Refusal
from hermes_h2.serving.call import CallEndedError, CallHandler, ServedCall
from hermes_h2.serving.handled import StatusError
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.server import OnRefused, Server
from hermes_h2.serving.sockets import listen_on
from hermes_h2.serving.turns import StrangersTurns
from hermes_node.config.addresses import Address
from hermes_node.config.fronts import count_fronts
from hermes_node.config.sections import Config
from hermes_node.errors import FrontsError, ListenError
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.grpc_calls import CountedCall, GrpcServerMetrics
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.front_reports import FrontReports
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.health import Health
from hermes_node.streams.hermes_limits import build_limits, build_mesh_limits
from hermes_node.streams.reflected import ReflectionServicer
from hermes_node.streams.refusals import MeshRefusals
from hermes_node.streams.side_calls import SideCalls
from hermes_node.streams.transport import StreamHandler
from hermes_node.streams.well_known import BIDI_STREAM, UNARY, WellKnownMethod, build_health, build_reflection
from hermes_node.tls.contexts import follow_material, follow_pem
from hermes_node.tls.files import ReloadingTls
from hermes_wire.byte_stream import GrpcConnection, StreamEndedError


class HermesTransport:
    """Apps and nodes come over `hermes_h2`; this node dials others with gRPC's library."""

    def __init__(self, config: Config, metrics: NodeMetrics, log: EventLog) -> None:
        self._limits = build_limits(config)
        self._mesh_limits = build_mesh_limits(config.limits)
        self.fronts = count_fronts(config)
        self._front_bytes = config.limits.front_memory_mib << 20
        self._metrics = metrics
        self._log = log
        self._grpc = GrpcTransport(config.limits, (metrics.grpc,))
        self._turns: StrangersTurns | None = None

    def listen_for_apps(self, service: str, address: Address, tls: ReloadingTls | None) -> HermesServer:
        sockets = _listen("app", address)
        server: CallServer
        if self.fronts:
            pem = None if tls is None else follow_pem(tls)
            observer = FrontReports(self._metrics, self._log)
            server = FrontServer(sockets, self._limits, self.fronts, observer, tls=pem, memory_bytes=self._front_bytes)
            self._metrics.fronts.bind(server.figures)
        else:
            server = self._serve("app", sockets, self._limits, None if tls is None else follow_material(tls), self._refused)
        return self._build(server, service, address, reflects=True)

    def listen_for_nodes(self, service: str, address: Address, tls: ReloadingTls) -> HermesServer:
        """Of nodes every one speaks TLS 1.3, which keeps nothing of a connection that is over."""
        context = follow_material(tls, ssl.TLSVersion.TLSv1_3)
        refusals = MeshRefusals(self._log, self._metrics.listeners.count_mesh_connection, time.monotonic)
        server = self._serve("mesh", _listen("mesh", address), self._mesh_limits, context, refusals.tell)
        return self._build(server, service, address, reflects=False)

    def connect(self, address: str, server_name: str | None, tls: ReloadingTls) -> GrpcConnection:
        return self._grpc.connect(address, server_name, tls)

    def _serve(
        self,
        section: str,
        sockets: Sequence[socket.socket],
        limits: Limits,
        tls: Callable[[], ssl.SSLContext] | None,
        on_refused: OnRefused,
    ) -> Server:
        def tell(error: Exception) -> None:
            self._log.error("unexpected_error", where=f"{section} transport", exception=type(error).__name__)

        return Server(sockets, limits, tls=tls, on_refused=on_refused, on_defect=tell)

    def _build(self, server: CallServer, service: str, address: Address, *, reflects: bool) -> HermesServer:
        where = Address(address.host, server.port)
        return HermesServer(server, service, where, self._metrics.grpc, self._share_turns, reflects=reflects)

    def _share_turns(self) -> StrangersTurns:
        """Of both ports: strangers of one leave as much time to who proved something on the other as on their own."""
        if self._turns is None:
            self._turns = StrangersTurns(asyncio.get_running_loop())
        return self._turns

    def _refused(self, refusal: Refusal, address: str, detail: str, _names: frozenset[str]) -> None:
        self._metrics.sessions.count_refused_connection(refusal)
        self._log.info("app_connection_refused", kind=refusal.value, address=address, detail=detail)


def _listen(section: str, address: Address) -> list[socket.socket]:
    try:
        return listen_on(address.host, address.port)
    except OSError:
        raise ListenError(f"{section}.listen: cannot listen on {address}") from None


class CallServer(Protocol):
    """`Server` of this process, or one whose connections are fronts'."""

    port: int

    async def start(self, handlers: Mapping[str, CallHandler], turns: StrangersTurns | None = None) -> None: ...
    async def stop(self, grace_s: float) -> None: ...


class HermesServer:
    """One service of streams; health checks beside it, and reflection for people, as gRPC's library serves them."""

    def __init__(
        self,
        server: CallServer,
        service: str,
        address: Address,
        metrics: GrpcServerMetrics,
        share_turns: Callable[[], StrangersTurns | None],
        *,
        reflects: bool,
    ) -> None:
        self.address = address
        self._server = server
        self._service = service
        self._metrics = metrics
        self._share_turns = share_turns
        self._reflects = reflects
        self._side_calls = SideCalls()
        self._health = Health(service, self._side_calls)

    async def start(self, handlers: Mapping[str, StreamHandler]) -> None:
        served: dict[str, CallHandler] = {
            f"/{self._service}/{name}": self._adapt(handler, BIDI_STREAM) for name, handler in handlers.items()
        }
        beside = build_health(self._health.servicer)
        if self._reflects:
            names = (self._service, HEALTH_SERVICE, reflection.SERVICE_NAME)
            beside |= build_reflection(ReflectionServicer(names, self._side_calls))
        for path, (kind, method) in beside.items():
            served[path] = self._adapt(method, kind)
        try:
            await self._server.start(served, self._share_turns())
        except FrontStartError as error:
            raise FrontsError(str(error)) from None

    async def follow(self, ready: bool) -> None:
        self._health.follow(ready)

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)

    def _adapt(self, handler: StreamHandler | WellKnownMethod, kind: str) -> CallHandler:
        serve_stream: Callable[[Any], Any] = handler

        async def serve(call: ServedCall) -> None:
            outcome = _Outcome(call)
            with self._metrics.follow(call.path, kind, outcome) as counted:
                await serve_stream(HermesServedStream(call, counted, outcome))
            if kind == UNARY:  # a health check: a connection is kept for more of them than the few streams before a proof
                call.pardon()

        return serve


class _Outcome:
    """For metrics: how a call ended."""

    def __init__(self, call: ServedCall) -> None:
        self._call = call
        self.status = grpc.StatusCode.OK

    def cancelled(self) -> bool:
        return self._call.gone

    def code(self) -> grpc.StatusCode:
        return self.status


class HermesServedStream:
    """A stream that Hermes' transport serves."""

    def __init__(self, call: ServedCall, counted: CountedCall, outcome: _Outcome) -> None:
        self._call = call
        self._received = counted.method.received
        self._sent = counted.method.sent
        self._outcome = outcome

    async def read(self) -> bytes | None:
        try:
            message = await self._call.read()
        except CallEndedError:
            raise StreamEndedError("the stream has ended") from None
        if message is not None:
            self._received.inc()
        return message

    async def write(self, data: bytes) -> None:
        try:
            await self._call.write(data)
        except CallEndedError:
            raise StreamEndedError("the stream has ended") from None
        self._sent.inc()

    def peer_names(self) -> frozenset[str]:
        return self._call.peer_names()

    def peer_address(self) -> str:
        """As gRPC writes it."""
        host, port = self._call.peer()
        try:
            ip = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return "unix:"
        return f"ipv4:{host}:{port}" if ip.version == 4 else f"ipv6:{quote(f'[{host}]', safe=':')}:{port}"

    def trust(self) -> None:
        self._call.prove()

    def abort(self, code: grpc.StatusCode, text: str) -> NoReturn:
        """End the call with this status."""
        self._outcome.status = code
        raise StatusError(int(code.value[0]), text)
