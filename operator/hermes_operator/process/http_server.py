"""The operator's HTTP server: /healthz, /readyz and /metrics."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from hermes_operator.metrics import OperatorMetrics

ANY_HOST = "0.0.0.0"  # noqa: S104 - compared
"""Every address of the pod, those of IPv6 too: the kubelet asks at whichever the pod has."""


async def serve_http(host: str, port: int, metrics: OperatorMetrics, health: Callable[[], str]) -> tuple[web.AppRunner, int]:
    """Start serving; returns the runner and the bound port. `health` says what is wrong; empty when nothing is."""

    async def healthz(_: web.Request) -> web.Response:
        problem = health()
        return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", healthz), web.get("/metrics", show_metrics)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await _site(runner, host, port).start()
    return runner, runner.addresses[0][1]


def _site(runner: web.AppRunner, host: str, port: int) -> web.BaseSite:
    if host == ANY_HOST:
        with suppress(OSError, ValueError):  # no IPv6 here
            return web.SockSite(runner, socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
    return web.TCPSite(runner, host, port)
