"""The operator's HTTP server: /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from hermes_operator.metrics import OperatorMetrics
from hermes_wire.http_server import HttpServer


async def serve_http(host: str, port: int, metrics: OperatorMetrics, health: Callable[[], str]) -> tuple[HttpServer, int]:
    """Start serving; returns the server and the bound port. `health` says what is wrong; empty when nothing is."""

    async def healthz(_: web.Request) -> web.Response:
        problem = health()
        return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    server = HttpServer([web.get("/healthz", healthz), web.get("/readyz", healthz), web.get("/metrics", show_metrics)])
    _, bound = await server.start(host, port)
    return server, bound
