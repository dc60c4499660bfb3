"""What health checks of a server are told: it follows the node's readiness."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hermes_node.streams.side_calls import TOO_MANY, SideCalls

_messages: Any = health_pb2
_Status: Any = _messages.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # it has no types
    """As gRPC's own, which writes to each watcher under a lock: one who does not read keeps the status from changing."""

    def __init__(self, side_calls: SideCalls) -> None:
        self._side_calls = side_calls
        self._statuses: dict[str, int] = {"": _Status.SERVING}
        self._changed = asyncio.Event()

    def set(self, statuses: dict[str, int]) -> None:
        """By service; "" is the server as a whole."""
        self._statuses |= statuses
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the method's name
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return _Status(status=status)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - the method's name
        with self._side_calls.place(context.peer()) as placed:
            if not placed:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
            told = None
            while True:
                changed, status = self._changed, self._statuses.get(request.service, _Status.SERVICE_UNKNOWN)
                if status != told:
                    await context.write(_Status(status=status))
                    told = status
                await changed.wait()


class Health:
    """Of the server as a whole, and of its one service."""

    def __init__(self, service: str, side_calls: SideCalls) -> None:
        self.servicer = HealthServicer(side_calls)
        self._service = service
        self._serving: bool | None = None

    def follow(self, ready: bool) -> None:
        if ready is self._serving:
            return
        self._serving = ready
        status = _Status.SERVING if ready else _Status.NOT_SERVING
        self.servicer.set({"": status, self._service: status})
