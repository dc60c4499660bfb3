"""The node's two gRPC servers: one for apps, one for nodes; both answer health checks, the apps' one reflection as well."""

from __future__ import annotations

from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from hermes_node.config.addresses import Address
from hermes_node.config.sections import LimitsSection
from hermes_node.errors import ListenError
from hermes_node.streams.grpc_options import max_concurrent_rpcs, server_options
from hermes_proto.v1 import app_router_pb2

_APP_SERVICE: Final[str] = app_router_pb2.DESCRIPTOR.services_by_name["AppRouter"].full_name


class Health:
    """`grpc.health.v1` for one server; follows the node's readiness."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._servicer = health_aio.HealthServicer()
        self._serving: bool | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def follow(self, ready: bool) -> None:
        """Tell watchers when readiness changed."""
        if ready is self._serving:
            return
        self._serving = ready
        statuses: Any = health_pb2.HealthCheckResponse
        status = statuses.SERVING if ready else statuses.NOT_SERVING
        for name in ("", self._service):
            await self._servicer.set(name, status)


def build_app_server(health: Health, limits: LimitsSection, interceptors: tuple[Any, ...] = ()) -> grpc.aio.Server:
    """The caller adds the AppRouter handler, binds and starts."""
    server = _build(health, limits, interceptors)
    reflection.enable_server_reflection((_APP_SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME), server)
    return server


def build_mesh_server(health: Health, limits: LimitsSection, interceptors: tuple[Any, ...] = ()) -> grpc.aio.Server:
    """The caller adds the NodeMesh handler, binds and starts."""
    return _build(health, limits, interceptors)


def bind(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials | None, field: str) -> Address:
    """Listen; the bound address. ListenError when that is not possible."""
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError:
        raise ListenError(f"{field}: cannot listen on {address}") from None
    return Address(address.host, port)


def _build(health: Health, limits: LimitsSection, interceptors: tuple[Any, ...]) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=interceptors,
        options=server_options(limits),
        maximum_concurrent_rpcs=max_concurrent_rpcs(limits),
    )
    health.add_to(server)
    return server
