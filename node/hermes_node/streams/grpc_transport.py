"""The network as gRPC gives it: one server for apps, one for nodes, both with health checks; connections with mutual TLS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from hermes_node.config.addresses import Address
from hermes_node.config.sections import LimitsSection
from hermes_node.errors import ListenError
from hermes_node.streams.grpc_options import (
    DIAL_OPTIONS,
    GrpcOptions,
    max_concurrent_rpcs,
    max_mesh_rpcs,
    mesh_server_options,
    server_options,
)
from hermes_node.streams.health import Health
from hermes_node.streams.reflected import ReflectionServicer
from hermes_node.streams.side_calls import SideCalls
from hermes_node.streams.transport import StreamHandler
from hermes_node.tls.files import ReloadingTls
from hermes_wire.byte_stream import GrpcConnection, GrpcStream, dial_target

GrpcMethod = Callable[[Any, Any], Awaitable[None]]


class GrpcTransport:
    """`interceptors` see every call of the servers."""

    fronts = 0

    def __init__(self, limits: LimitsSection, interceptors: tuple[Any, ...]) -> None:
        self._limits = limits
        self._interceptors = interceptors

    def listen_for_apps(self, service: str, address: Address, tls: ReloadingTls | None) -> GrpcServer:
        """Answers reflection as well, for people with grpcurl. With a CA in `tls`, apps must show a certificate."""
        server = self._build(server_options(self._limits), max_concurrent_rpcs(self._limits))
        side_calls = SideCalls()
        reflected = ReflectionServicer((service, HEALTH_SERVICE, reflection.SERVICE_NAME), side_calls)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, server)
        credentials = None if tls is None else tls.server_credentials(require_client=tls.material.ca_pem is not None)
        return GrpcServer(server, service, _bind(server, address, credentials, "app.listen"), side_calls)

    def listen_for_nodes(self, service: str, address: Address, tls: ReloadingTls) -> GrpcServer:
        server = self._build(mesh_server_options(self._limits), max_mesh_rpcs(self._limits))
        credentials = tls.server_credentials(require_client=True)
        return GrpcServer(server, service, _bind(server, address, credentials, "mesh.listen"), SideCalls())

    def connect(self, address: str, server_name: str | None, tls: ReloadingTls) -> GrpcConnection:
        options = list(DIAL_OPTIONS)
        if server_name is not None:
            options.append(("grpc.ssl_target_name_override", server_name))
        return GrpcConnection(grpc.aio.secure_channel(dial_target(address), tls.channel_credentials(), options=options))

    def _build(self, options: GrpcOptions, max_rpcs: int) -> grpc.aio.Server:
        return grpc.aio.server(interceptors=self._interceptors, options=options, maximum_concurrent_rpcs=max_rpcs)


class GrpcServer:
    """One service of streams, and `grpc.health.v1` beside it."""

    def __init__(self, server: grpc.aio.Server, service: str, address: Address, side_calls: SideCalls) -> None:
        self.address = address
        self._server = server
        self._service = service
        self._health = Health(service, side_calls)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)

    async def start(self, handlers: Mapping[str, StreamHandler]) -> None:
        self._server.add_generic_rpc_handlers((stream_handler(self._service, handlers),))
        await self._server.start()

    async def follow(self, ready: bool) -> None:
        self._health.follow(ready)

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)


class GrpcServedStream(GrpcStream):
    """A stream that gRPC serves."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        # Asked now: once the stream has ended and its handler is gone, gRPC dereferences a null pointer for an answer.
        names = context.auth_context().get("x509_subject_alternative_name", ())
        self._peer_names = frozenset(name.decode("ascii", "replace") for name in names)
        self._peer_address = str(context.peer())

    def peer_names(self) -> frozenset[str]:
        return self._peer_names

    def peer_address(self) -> str:
        """As gRPC writes it: `ipv4:192.0.2.1:4711`, `ipv6:%5B2001:db8::1%5D:4711`, `unix:`."""
        return self._peer_address

    def trust(self) -> None:
        """Nothing: the library gives everybody the same."""


def stream_handler(service: str, handlers: Mapping[str, StreamHandler]) -> grpc.GenericRpcHandler:
    """Bidirectional streams of raw bytes, by the method's name."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.stream_stream_rpc_method_handler(_adapt(handler)) for name, handler in handlers.items()
    }
    return grpc.method_handlers_generic_handler(service, methods)


def _adapt(handler: StreamHandler) -> GrpcMethod:
    async def serve(_requests: Any, context: Any) -> None:
        await handler(GrpcServedStream(context))

    return serve


def _bind(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials | None, field: str) -> Address:
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError:
        raise ListenError(f"{field}: cannot listen on {address}") from None
    return Address(address.host, port)
