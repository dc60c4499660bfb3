"""What health checks of a server are told: gRPC's own servicer, which follows the node's readiness."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio


class Health:
    """Of the server as a whole, and of its one service."""

    def __init__(self, service: str) -> None:
        self.servicer = health_aio.HealthServicer()
        self._service = service
        self._serving: bool | None = None

    async def follow(self, ready: bool) -> None:
        if ready is self._serving:
            return
        self._serving = ready
        statuses: Any = health_pb2.HealthCheckResponse
        status = statuses.SERVING if ready else statuses.NOT_SERVING
        for name in ("", self._service):
            await self.servicer.set(name, status)
