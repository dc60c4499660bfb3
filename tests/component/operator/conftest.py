"""A fake cluster and the operator's real passes, talking HTTP to it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio import client

from hermes_operator import names
from hermes_operator.kube.api import Kube
from hermes_operator.kube.event_recorder import EventRecorder
from hermes_operator.kube.served_apis import ServedApis
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient
from hermes_operator.plan.actions import Problem
from hermes_operator.reconcile.context import PassContext
from hermes_operator.reconcile.failure_report import report_failure
from hermes_operator.reconcile.mesh_pass import PassResult, reconcile_mesh
from tests.component.operator.fake_kubernetes import FakeKubernetes, Json
from tests.component.operator.fake_nodes import FakeNodes


@dataclass
class OperatedCluster:
    """The cluster, its nodes, and an operator that can be thrown away and made anew. `late_s`: how far its clock is ahead."""

    api: FakeKubernetes
    nodes: FakeNodes
    kube: Kube
    node_client: NodeClient
    metrics: OperatorMetrics
    late_s: float = 0

    def __post_init__(self) -> None:
        self.restart_operator()

    def restart_operator(self) -> None:
        """Nothing that the old process knew survives."""
        self.context = PassContext(
            api=self.kube,
            served=ServedApis(self.kube),
            nodes=self.node_client,
            recorder=EventRecorder(self.kube, "test"),
            metrics=self.metrics,
            cluster_domain="cluster.local",
            clock=lambda: datetime.now(UTC) + timedelta(seconds=self.late_s),
            log=logging.getLogger("test"),
        )

    def create_mesh(self, spec: Json | None = None, name: str = "demo") -> None:
        metadata = {"name": name, "namespace": "chat"}
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": spec or {}}
        self.api.put("hermesmeshes", body)

    def change_mesh(self, spec: Json | None = None, annotations: Json | None = None) -> None:
        body = self.mesh()
        metadata = body["metadata"] | {"annotations": annotations or body["metadata"].get("annotations", {})}
        self.api.put("hermesmeshes", body | {"metadata": metadata, "spec": body["spec"] | (spec or {})})

    def delete_mesh(self) -> None:
        self.api.delete(("hermesmeshes", "chat", "demo"))

    def mesh(self) -> Json:
        return self.api.of("hermesmeshes").get("demo", {})

    def status(self) -> Json:
        status: Json = self.mesh().get("status", {})
        return status

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(c for c in self.status()["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    async def one_pass(self, *, refresh: bool = False, trouble: Problem | None = None) -> PassResult:
        return await reconcile_mesh(self.context, "chat", "demo", refresh=refresh, trouble=trouble)

    async def report_failure(self, problem: Problem) -> None:
        await report_failure(self.context, "chat", "demo", problem)

    async def until(self, holds: Callable[[], Any], *, within: int = 60, step_s: float = 0) -> None:
        """Passes of operator and cluster in turn until `holds`; `step_s` goes by between them where a deadline must come."""
        for _ in range(within):
            if holds():
                return
            self.late_s += step_s
            await self.one_pass()
            self.nodes.step()
        raise AssertionError(f"not within {within} passes; status: {self.status()}")

    async def until_running(self) -> None:
        await self.until(lambda: self.status().get("phase") == "Running")


@pytest.fixture
async def operated() -> AsyncIterator[OperatedCluster]:
    api = FakeKubernetes()
    nodes = FakeNodes(api)
    api_runner, api_port = await _serve(api.application(), "127.0.0.1")
    node_runner, node_port = await _serve(nodes.application(), "0.0.0.0")  # noqa: S104 - 127.0.0.x of this machine
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{api_port}"
    configuration.retries = False
    async with aiohttp.ClientSession() as session, client.ApiClient(configuration) as api_client:
        yield OperatedCluster(api, nodes, Kube(api_client), NodeClient(session, port=node_port), OperatorMetrics())
    await api_runner.cleanup()
    await node_runner.cleanup()


async def _serve(app: web.Application, host: str) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    port: int = runner.addresses[0][1]
    return runner, port
