"""Reflection, for people with grpcurl: gRPC's own servicer, within the places for calls beside a server's service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection

from hermes_node.streams.side_calls import TOO_MANY, SideCalls


class ReflectionServicer(reflection.aio.ReflectionServicer):  # type: ignore[misc] # it has no types
    def __init__(self, services: tuple[str, ...], side_calls: SideCalls) -> None:
        super().__init__(service_names=services)
        self._side_calls = side_calls

    async def ServerReflectionInfo(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - the method's name
        with self._side_calls.place(context.peer()) as placed:
            if not placed:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
            async for answer in super().ServerReflectionInfo(requests, context):
                yield answer
