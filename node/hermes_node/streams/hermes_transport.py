"""Both listeners on Hermes' own transport; nodes dial as gRPC's library does it."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection

from hermes_h2.events import Refusal
from hermes_h2.serving.call import Call, CallEndedError, StatusError
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.server import CallHandler, OnRefused, Server
from hermes_node.config.addresses import Address
from hermes_node.config.sections import Config
from hermes_node.errors import ListenError
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.grpc_calls import CountedCall, GrpcServerMetrics
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.health import Health
from hermes_node.streams.hermes_limits import build_limits, build_mesh_limits
from hermes_node.streams.reflected import ReflectionServicer
from hermes_node.streams.refusals import MeshRefusals
from hermes_node.streams.side_calls import SideCalls
from hermes_node.streams.transport import StreamHandler
from hermes_node.streams.well_known import BIDI_STREAM, UNARY, WellKnownMethod, build_health, build_reflection
from hermes_node.tls.contexts import follow_material
from hermes_node.tls.files import ReloadingTls
from hermes_wire.byte_stream import GrpcConnection, StreamEndedError


class HermesTransport:
    """Apps and nodes come over `hermes_h2`; this node dials others with gRPC's library."""

    def __init__(self, config: Config, metrics: NodeMetrics, log: EventLog) -> None:
        self._limits = build_limits(config)
        self._mesh_limits = build_mesh_limits(config.limits)
        self._metrics = metrics
        self._log = log
        self._grpc = GrpcTransport(config.limits, (metrics.grpc,))

    def listen_for_apps(self, service: str, address: Address, tls: ReloadingTls | None) -> HermesServer:
        context = None if tls is None else follow_material(tls)
        server = self._listen("app", address, self._limits, context, self._refused)
        return HermesServer(server, service, Address(address.host, server.port), self._metrics.grpc, reflects=True)

    def listen_for_nodes(self, service: str, address: Address, tls: ReloadingTls) -> HermesServer:
        """Of nodes every one speaks TLS 1.3, which keeps nothing of a connection that is over."""
        context = follow_material(tls, ssl.TLSVersion.TLSv1_3)
        refusals = MeshRefusals(self._log, self._metrics.listeners.count_mesh_connection, time.monotonic)
        server = self._listen("mesh", address, self._mesh_limits, context, refusals.tell)
        return HermesServer(server, service, Address(address.host, server.port), self._metrics.grpc, reflects=False)

    def connect(self, address: str, server_name: str | None, tls: ReloadingTls) -> GrpcConnection:
        return self._grpc.connect(address, server_name, tls)

    def _listen(
        self,
        section: str,
        address: Address,
        limits: Limits,
        tls: Callable[[], ssl.SSLContext] | None,
        on_refused: OnRefused,
    ) -> Server:
        def tell(error: Exception) -> None:
            self._log.error("unexpected_error", where=f"{section} transport", exception=type(error).__name__)

        try:
            return Server(address.host, address.port, limits, tls=tls, on_refused=on_refused, on_defect=tell)
        except OSError:
            raise ListenError(f"{section}.listen: cannot listen on {address}") from None

    def _refused(self, refusal: Refusal, address: str, detail: str, _names: frozenset[str]) -> None:
        self._metrics.sessions.count_refused_connection(refusal)
        self._log.info("app_connection_refused", kind=refusal.value, address=address, detail=detail)


class HermesServer:
    """One service of streams; health checks beside it, and reflection for people, as gRPC's library serves them."""

    def __init__(self, server: Server, service: str, address: Address, metrics: GrpcServerMetrics, *, reflects: bool) -> None:
        self.address = address
        self._server = server
        self._service = service
        self._metrics = metrics
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
        await self._server.start(served)

    async def follow(self, ready: bool) -> None:
        self._health.follow(ready)

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)

    def _adapt(self, handler: StreamHandler | WellKnownMethod, kind: str) -> CallHandler:
        serve_stream: Callable[[Any], Any] = handler

        async def serve(call: Call) -> None:
            outcome = _Outcome(call)
            with self._metrics.follow(call.path, kind, outcome) as counted:
                await serve_stream(HermesServedStream(call, counted, outcome))
            if (
                kind == UNARY
            ):  # a health check: who keeps its connection for them has more than the few that come before a proof
                call.pardon()

        return serve


class _Outcome:
    """For metrics: how a call ended."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.status = grpc.StatusCode.OK

    def cancelled(self) -> bool:
        return self._call.gone

    def code(self) -> grpc.StatusCode:
        return self.status


class HermesServedStream:
    """A stream that Hermes' transport serves."""

    def __init__(self, call: Call, counted: CountedCall, outcome: _Outcome) -> None:
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
