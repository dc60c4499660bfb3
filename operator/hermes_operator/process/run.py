"""The operator process: HTTP server, leader election, then kopf and the workers; start and stop in this order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import aiohttp
import kopf

from hermes_operator.kube.api import Kube, KubeError
from hermes_operator.kube.event_recorder import EventRecorder
from hermes_operator.kube.kinds import MESHES
from hermes_operator.kube.served_apis import ServedApis
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient
from hermes_operator.process.election import Elector, LeaseSettings
from hermes_operator.process.http_server import serve_http
from hermes_operator.process.watches import build_registry, build_settings
from hermes_operator.process.worker import PASS_LIMIT_S, MeshWorker, Workers, WorkerSettings
from hermes_operator.reconcile.context import PassContext
from hermes_operator.reconcile.failure_report import report_failure
from hermes_operator.reconcile.mesh_pass import reconcile_mesh
from hermes_operator.version import operator_version

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_LOST_LEASE, EXIT_OPERATOR_FAILED = 0, 3, 4
# After a lost lease another operator acts: this one must be gone, whatever hangs.
STOP_LIMIT_S = 5.0
CLOSE_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """`namespaces`: empty for the whole cluster. `lease`: None runs without election, for a single process."""

    namespaces: tuple[str, ...]
    lease: LeaseSettings | None
    http_host: str
    http_port: int
    cluster_domain: str
    identity: str
    worker: WorkerSettings


async def run_operator(settings: OperatorSettings) -> int:
    """Run until a signal (0) or a failure; returns the exit code."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    metrics = OperatorMetrics()
    metrics.show_version(operator_version())
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(_connect())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        workers = _build_workers(settings, api, NodeClient(session), metrics)
        server, port = await serve_http(settings.http_host, settings.http_port, metrics, lambda: _health(workers))
        stack.push_async_callback(server.stop)
        logger.info("serving", extra={"port": port, "version": operator_version()})
        return await _lead(settings, api, workers, metrics, stop)


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


@asynccontextmanager
async def _connect() -> AsyncIterator[Kube]:
    api = await Kube.connect()
    try:
        yield api
    finally:
        await api.close()


def _build_workers(settings: OperatorSettings, api: Kube, nodes: NodeClient, metrics: OperatorMetrics) -> Workers:
    context = PassContext(
        api=api,
        served=ServedApis(api),
        nodes=nodes,
        recorder=EventRecorder(api, settings.identity),
        metrics=metrics,
        cluster_domain=settings.cluster_domain,
        clock=lambda: datetime.now(UTC),
        log=logging.getLogger("hermes_operator.reconcile"),
    )
    reconcile, report = partial(reconcile_mesh, context), partial(report_failure, context)
    return Workers(lambda key: MeshWorker(key, reconcile, report, metrics, settings.worker))


def _health(workers: Workers) -> str:
    longest = workers.longest_pass_s()
    return f"a pass has been running for {longest:.0f} s" if longest > 2 * PASS_LIMIT_S else ""


async def _lead(settings: OperatorSettings, api: Kube, workers: Workers, metrics: OperatorMetrics, stop: asyncio.Event) -> int:
    elector = Elector(api, settings.lease) if settings.lease is not None else None
    stopping = asyncio.create_task(stop.wait(), name="stop")
    if elector is not None:
        acquiring = asyncio.create_task(elector.acquire(), name="acquire")
        await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not acquiring.done():
            await _cancel(acquiring, stopping)
            return EXIT_OK
    metrics.show_leader(True)
    holding = asyncio.create_task(elector.hold() if elector is not None else asyncio.Event().wait(), name="lease")
    operating = asyncio.create_task(_operate(settings, api, workers, stop), name="kopf")
    await asyncio.wait({holding, operating, stopping}, return_when=asyncio.FIRST_COMPLETED)
    code = _exit_code(holding, operating)
    metrics.show_leader(False)
    if code != EXIT_OK:
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, os._exit, code)
    stop.set()
    await workers.stop()
    # The workers are gone, so kopf has nothing left to do but to close its watches.
    await asyncio.wait({operating}, timeout=CLOSE_LIMIT_S)
    await _cancel(holding, operating, stopping)
    if elector is not None and code == EXIT_OK:
        await elector.release()
    return code


def _exit_code(holding: asyncio.Task[object], operating: asyncio.Task[None]) -> int:
    if holding.done():
        return EXIT_LOST_LEASE
    if operating.done() and not operating.cancelled() and operating.exception() is not None:
        logger.error("kopf ended: %s", operating.exception())
        return EXIT_OPERATOR_FAILED
    return EXIT_OK


async def _operate(settings: OperatorSettings, api: Kube, workers: Workers, stop: asyncio.Event) -> None:
    await await_definition(api)
    cluster_wide = not settings.namespaces
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=build_registry(workers),
        settings=build_settings(cluster_wide=cluster_wide),
        clusterwide=cluster_wide,
        namespaces=settings.namespaces,
        standalone=True,
        stop_flag=stop,
    )
    # kopf has put its own handlers in place of ours: it would end, and wait for workers that nobody told.
    _stop_on_signals(stop)
    await kopf.run_tasks(tasks, ignored=ours)


async def await_definition(api: Kube, poll_s: float = 2.0) -> None:
    """Return once the cluster knows HermesMesh: kopf looks only once when it may not watch definitions."""
    told = False
    while True:
        try:
            if await api.serves(MESHES):
                return
            problem = "the cluster does not know HermesMesh: install crds/, or the chart with crds.enabled"
        except (KubeError, OSError, TimeoutError) as error:
            problem = str(error)
        if not told:
            logger.warning("waiting: %s", problem)
            told = True
        await asyncio.sleep(poll_s)


async def _cancel(*tasks: asyncio.Task[object] | asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
