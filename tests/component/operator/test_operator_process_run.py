"""The real operator process with kopf against the fake API server: woken by watches, one leader, a good end on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from hermes_operator import names
from tests.component.operator.fake_kubernetes import FakeKubernetes
from tests.component.operator.fake_nodes import FakeNodes

DEADLINE_S = 60


class Process:
    """One `hermes-operator run`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()


class World:
    """A fake cluster, and the processes that were started against it."""

    def __init__(self, folder: Path, port: int, api: FakeKubernetes) -> None:
        self.folder = folder
        self.api = api
        self.nodes = FakeNodes(api)
        self.processes: list[Process] = []
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "x"}
        (folder / "kubeconfig").write_text(yaml.safe_dump(config | {"users": [{"name": "u", "user": {}}]}))

    async def start(self, *arguments: str) -> Process:
        log = self.folder / f"operator-{len(self.processes)}.log"
        environment = os.environ | {"KUBECONFIG": str(self.folder / "kubeconfig"), "POD_NAMESPACE": "chat"}
        words = ("run", "--namespace", "chat", "--listen", "127.0.0.1:0", *arguments)
        with log.open("wb") as output:
            started = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hermes_operator.cli", *words, stderr=output, stdout=output, env=environment
            )
        self.processes.append(Process(started, log))
        return self.processes[-1]

    def create_mesh(self) -> None:
        metadata = {"name": "demo", "namespace": "chat"}
        self.api.put("hermesmeshes", {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": {}})

    def mesh(self) -> dict[str, Any]:
        return self.api.of("hermesmeshes").get("demo", {})

    async def until(self, holds: Callable[[], Any]) -> None:
        """Let the cluster move until `holds`; what the operators said is shown when it never does."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds():
                    self.nodes.step()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail("\n".join(process.log.read_text()[-3000:] for process in self.processes))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    api = FakeKubernetes()
    async with _serving(api.application()) as port:
        made = World(tmp_path, port, api)
        try:
            yield made
        finally:
            for process in made.processes:
                if process.process.returncode is None:
                    process.process.kill()
                    await process.process.wait()


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_watches_wake_it_and_kopf_writes_nothing(world: World) -> None:
    operator = await world.start("--no-leader-election", "--resync-seconds", "3600")
    await world.until(lambda: any(plural == "hermesmeshes" for plural, _, _ in world.api.watchers))
    world.create_mesh()
    await world.until(lambda: world.mesh().get("status", {}).get("replicasReady") == "3/3")
    world.api.delete(("services", "chat", "demo"))
    await world.until(lambda: "demo" in world.api.of("services"))
    world.api.end_watches()
    world.api.delete(("configmaps", "chat", "demo-config"))
    await world.until(lambda: "demo-config" in world.api.of("configmaps"))
    metadata = world.mesh()["metadata"]
    assert "annotations" not in metadata
    assert "finalizers" not in metadata
    assert await operator.stop() == 0
    said = operator.log.read_text()
    assert "Traceback" not in said
    assert "RuntimeWarning" not in said


async def test_one_leads_and_the_other_takes_over(world: World) -> None:
    first = await world.start()
    await world.until(lambda: "hermes-operator" in world.api.of("leases"))
    second = await world.start()
    world.create_mesh()
    await world.until(lambda: world.mesh().get("status", {}).get("replicasReady") == "3/3")
    leader = world.api.of("leases")["hermes-operator"]["spec"]["holderIdentity"]
    assert leader.endswith(f"-{first.process.pid}")
    assert await first.stop() == 0
    await world.until(lambda: str(second.process.pid) in world.api.of("leases")["hermes-operator"]["spec"]["holderIdentity"])
    world.api.delete(("services", "chat", "demo"))
    await world.until(lambda: "demo" in world.api.of("services"))
    assert await second.stop() == 0


async def test_a_leader_that_lost_its_lease_ends(world: World) -> None:
    operator = await world.start()
    await world.until(lambda: any(plural == "hermesmeshes" for plural, _, _ in world.api.watchers))
    lease = world.api.of("leases")["hermes-operator"]
    world.api.put("leases", lease | {"spec": lease["spec"] | {"holderIdentity": "somebody else"}})
    async with asyncio.timeout(DEADLINE_S):
        assert await operator.process.wait() == 3


async def test_a_definition_that_is_removed_ends_the_process_so_that_the_next_one_waits_for_it(world: World) -> None:
    operator = await world.start()
    await world.until(lambda: any(plural == "hermesmeshes" for plural, _, _ in world.api.watchers))
    world.api.refuse = lambda _method, path: 404 if "hermesmesh.io" in path else None
    world.api.end_watches()
    async with asyncio.timeout(DEADLINE_S):
        assert await operator.process.wait() == 4
    assert "kopf ended" in operator.log.read_text()


async def test_sigterm_ends_a_standby_and_one_that_waits_for_the_definition(world: World) -> None:
    world.api.put("leases", _lease_of_another())
    standby = await world.start()
    world.api.refuse = lambda _method, path: 404 if path == "/apis/hermesmesh.io/v1alpha1" else None
    waiting = await world.start("--no-leader-election")
    await world.until(lambda: "serving" in standby.log.read_text() and "waiting: the cluster" in waiting.log.read_text())
    assert await standby.stop() == 0
    assert await waiting.stop() == 0


def _lease_of_another() -> dict[str, Any]:
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "renewTime": "x", "leaseTransitions": 0}
    return {"metadata": {"name": "hermes-operator", "namespace": "chat"}, "spec": spec}
