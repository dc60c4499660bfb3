"""A fake cluster and the operator's real reconciler, talking HTTP to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio import client

from hermes_operator import names
from hermes_operator.kube.api import Kube
from hermes_operator.kube.event_recorder import EventRecorder
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient
from hermes_operator.reconcile.mesh_pass import Pass, Reconciler
from tests.component.operator.fake_kubernetes import FakeKubernetes, Json
from tests.component.operator.fake_nodes import FakeNodes


@dataclass
class OperatedCluster:
    """The cluster, its nodes, and a reconciler that can be thrown away and made anew."""

    api: FakeKubernetes
    nodes: FakeNodes
    kube: Kube
    node_client: NodeClient
    metrics: OperatorMetrics
    reconciler: Reconciler

    def restart_operator(self) -> None:
        """Nothing that the old process knew survives."""
        recorder = EventRecorder(self.kube, "test")
        self.reconciler = Reconciler(self.kube, self.node_client, recorder, self.metrics, "cluster.local")

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

    async def one_pass(self, *, refresh: bool = False) -> Pass:
        return await self.reconciler.reconcile("chat", "demo", refresh=refresh)

    async def until(self, holds: Callable[[], Any], *, within: int = 60, pause_s: float = 0) -> None:
        """Passes of operator and cluster in turn until `holds`; `pause_s` between them where a deadline must come."""
        for _ in range(within):
            if holds():
                return
            await asyncio.sleep(pause_s)
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
        kube, node_client, metrics = Kube(api_client), NodeClient(session, port=node_port), OperatorMetrics()
        reconciler = Reconciler(kube, node_client, EventRecorder(kube, "test"), metrics, "cluster.local")
        yield OperatedCluster(api, nodes, kube, node_client, metrics, reconciler)
    await api_runner.cleanup()
    await node_runner.cleanup()


async def _serve(app: web.Application, host: str) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    port: int = runner.addresses[0][1]
    return runner, port
