"""Workers: one pass for many events, backoff after errors, an end with the mesh; and which events wake them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hermes_operator import names
from hermes_operator.kube.api import KubeError
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.plan.actions import Problem
from hermes_operator.process.watches import WATCHED, build_registry, build_settings
from hermes_operator.process.worker import MeshKey, MeshWorker, Workers, WorkerSettings
from hermes_operator.reconcile.mesh_pass import PassResult

QUICK = WorkerSettings(resync_s=30, first_backoff_s=0.001, longest_backoff_s=0.002, settle_s=0)


class ScriptedPasses:
    """`script`: what each pass does; after its end a pass changes nothing."""

    def __init__(self, *script: PassResult | Exception) -> None:
        self.script = list(script)
        self.passes: list[bool] = []
        self.problems: list[Problem] = []
        self.troubles: list[str] = []
        self.changed = asyncio.Event()

    async def reconcile(self, namespace: str, name: str, *, refresh: bool, trouble: Problem | None) -> PassResult:
        assert (namespace, name) == ("chat", "demo")
        self.passes.append(refresh)
        self.troubles.append(trouble.message if trouble else "")
        self.changed.set()
        step = self.script.pop(0) if self.script else PassResult()
        if isinstance(step, Exception):
            raise step
        return step

    async def report_failure(self, namespace: str, name: str, problem: Problem) -> None:  # noqa: ARG002
        self.problems.append(problem)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


def worker_of(key: MeshKey, passes: ScriptedPasses, metrics: OperatorMetrics, settings: WorkerSettings = QUICK) -> MeshWorker:
    return MeshWorker(key, passes.reconcile, passes.report_failure, metrics, settings)


def workers_of(passes: ScriptedPasses, metrics: OperatorMetrics, settings: WorkerSettings = QUICK) -> Workers:
    return Workers(lambda key: worker_of(key, passes, metrics, settings))


async def test_many_events_one_pass() -> None:
    passes = ScriptedPasses()
    workers = workers_of(passes, OperatorMetrics())
    for _ in range(50):
        workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert passes.passes == [True]  # the first one refreshes
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 2)
    assert passes.passes == [True, False]
    await workers.stop()


async def test_a_recheck_comes_without_an_event() -> None:
    passes = ScriptedPasses(PassResult(recheck_s=0.001), PassResult(recheck_s=0.001))
    workers = workers_of(passes, OperatorMetrics())
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 3)
    await workers.stop()


async def test_errors_back_off_are_counted_and_said_from_the_second_on() -> None:
    passes = ScriptedPasses(KubeError(500, "etcd"), OSError("refused"), ValueError("bug"), PassResult())
    metrics = OperatorMetrics()
    workers = workers_of(passes, metrics)
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 4)
    assert [problem.message for problem in passes.problems] == ["refused", "bug"]
    assert passes.troubles == ["", "", "refused", "bug"]
    assert metrics.registry.get_sample_value("hermes_operator_reconcile_total", {"result": "error"}) == 3
    await workers.stop()


async def test_a_conflict_is_no_error() -> None:
    passes = ScriptedPasses(KubeError(409, "modified"))
    metrics = OperatorMetrics()
    workers = workers_of(passes, metrics)
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 2)
    assert metrics.registry.get_sample_value("hermes_operator_reconcile_total", {"result": "error"}) == 0
    assert passes.problems == []
    await workers.stop()


async def test_a_worker_ends_with_its_mesh_and_a_new_one_starts_with_the_next() -> None:
    passes = ScriptedPasses(PassResult(gone=True))
    started: list[MeshKey] = []

    def start(key: MeshKey) -> MeshWorker:
        started.append(key)
        return worker_of(key, passes, OperatorMetrics())

    workers = Workers(start)
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 1)
    async with asyncio.timeout(10):
        while workers._running:  # noqa: ASYNC110 - the end of a task, seen by its own callback
            await asyncio.sleep(0)
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 2)
    assert started == [("chat", "demo")] * 2
    await workers.stop()


async def test_a_mesh_made_anew_while_its_end_is_noticed_keeps_its_worker() -> None:
    passes = ScriptedPasses(PassResult(gone=True))

    async def woken_meanwhile(namespace: str, name: str, *, refresh: bool, trouble: Problem | None) -> PassResult:
        done = await passes.reconcile(namespace, name, refresh=refresh, trouble=trouble)
        if done.gone:
            worker.wake()
        return done

    worker = MeshWorker(("chat", "demo"), woken_meanwhile, passes.report_failure, OperatorMetrics(), QUICK)
    task = asyncio.create_task(worker.run())
    await passes.until(lambda: len(passes.passes) == 2)
    assert not task.done()
    task.cancel()


async def test_a_hanging_pass_is_seen() -> None:
    class Hanging(ScriptedPasses):
        async def reconcile(self, namespace: str, name: str, *, refresh: bool, trouble: Problem | None) -> PassResult:
            await super().reconcile(namespace, name, refresh=refresh, trouble=trouble)
            await asyncio.Event().wait()
            raise AssertionError

    passes = Hanging()
    workers = workers_of(passes, OperatorMetrics())
    assert workers.longest_pass_s() == 0
    workers.wake("chat", "demo")
    await passes.until(lambda: len(passes.passes) == 1)
    assert workers.longest_pass_s() > 0
    await workers.stop()


class RecordingWorkers(Workers):
    def __init__(self) -> None:
        super().__init__(lambda _: pytest.fail("no worker is to be started"))
        self.woken: list[MeshKey] = []

    def wake(self, namespace: str, name: str) -> None:
        self.woken.append((namespace, name))


def mesh_event(kind: str | None = "MODIFIED", **metadata: Any) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"namespace": "chat", "name": "demo", "uid": "u", "generation": 1} | metadata}}


async def test_the_mesh_wakes_for_all_but_its_status() -> None:
    workers = RecordingWorkers()
    on_mesh: Any = next(h.fn for h in build_registry(workers)._watching.get_all_handlers() if "on_mesh" in h.id)
    changes: tuple[dict[str, Any], ...] = (
        mesh_event(None),
        mesh_event(generation=2),
        mesh_event(generation=2, annotations={names.ANNOTATION_RESTARTED: "T"}),
        mesh_event(generation=2, annotations={names.ANNOTATION_RESTARTED: "T"}, finalizers=["x"]),
        mesh_event(generation=2, deletionTimestamp="T"),
        mesh_event("DELETED", generation=2, deletionTimestamp="T"),
    )
    for count, event in enumerate(changes, 1):
        for _ in range(1 if event["type"] == "DELETED" else 3):  # the status was written, the object is listed again
            assert await on_mesh(event=event) is None
        assert workers.woken == [("chat", "demo")] * count


async def test_a_member_wakes_the_mesh_it_is_labelled_with() -> None:
    workers = RecordingWorkers()
    handlers = [h for h in build_registry(workers)._watching.get_all_handlers() if "on_member" in h.id]
    assert len(handlers) == len(WATCHED)
    on_member: Any = handlers[0].fn
    pod = {"metadata": {"namespace": "chat", "name": "demo-1", "labels": {names.LABEL_MESH: "demo"}}}
    assert await on_member(event={"type": "MODIFIED", "object": pod}) is None
    assert await on_member(event={"type": "MODIFIED", "object": {"metadata": {"namespace": "chat", "name": "x"}}}) is None
    assert workers.woken == [("chat", "demo")]


def test_kopf_stores_nothing_watches_little_and_never_waits_for_ever() -> None:
    registry = build_registry(RecordingWorkers())
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()
    settings = build_settings(cluster_wide=True)
    assert not settings.posting.enabled
    assert set(settings.watching.label_selectors.values()) == {names.LABEL_MESH}
    assert len(settings.watching.label_selectors) == len(WATCHED)
    for timeout in (settings.watching.server_timeout, settings.watching.client_timeout, settings.networking.request_timeout):
        assert timeout
    assert build_settings(cluster_wide=False).scanning.disabled
