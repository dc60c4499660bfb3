"""One task per mesh: woken by events, it makes passes one after the other, backs off after errors, and ends with its mesh."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from hermes_operator.kube.api import KubeError
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.plan.actions import Problem
from hermes_operator.reconcile.mesh_pass import PassResult

logger = logging.getLogger(__name__)

CONFLICT_RETRY_S = 0.2
# A pass that takes longer hangs: every request in it has a timeout of its own.
PASS_LIMIT_S = 120.0

MeshKey = tuple[str, str]


class Reconcile(Protocol):
    """Makes one pass (reconcile/mesh_pass.py)."""

    async def __call__(self, namespace: str, name: str, *, refresh: bool, trouble: Problem | None) -> PassResult: ...


class ReportFailure(Protocol):
    """Says that passes fail (reconcile/failure_report.py)."""

    async def __call__(self, namespace: str, name: str, problem: Problem) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`resync_s`: a mesh is looked at this often although nothing happened."""

    resync_s: float = 60.0
    first_backoff_s: float = 1.0
    longest_backoff_s: float = 60.0
    settle_s: float = 0.05  # events come in bursts: one pass for all of them


class MeshWorker:
    """The loop of one mesh."""

    def __init__(
        self,
        key: MeshKey,
        reconcile: Reconcile,
        report_failure: ReportFailure,
        metrics: OperatorMetrics,
        settings: WorkerSettings,
    ) -> None:
        self._key = key
        self._reconcile = reconcile
        self._report_failure = report_failure
        self._metrics = metrics
        self._settings = settings
        self._woken = asyncio.Event()
        self._woken.set()
        self._failures = 0
        self._trouble: Problem | None = None
        self._refreshed_at = float("-inf")
        self._pass_started_at: float | None = None

    @property
    def pass_started_at(self) -> float | None:
        """On the monotonic clock; None while no pass runs."""
        return self._pass_started_at

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Returns when the mesh is gone."""
        delay = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), timeout=delay)
            await asyncio.sleep(self._settings.settle_s)
            self._woken.clear()
            done = await self._make_pass()
            if done.gone and not self._woken.is_set():
                return
            delay = self._settings.resync_s if done.recheck_s is None else min(done.recheck_s, self._settings.resync_s)

    async def _make_pass(self) -> PassResult:
        namespace, name = self._key
        started = self._pass_started_at = time.monotonic()
        refresh = started - self._refreshed_at >= self._settings.resync_s
        try:
            async with asyncio.timeout(PASS_LIMIT_S):
                done = await self._reconcile(namespace, name, refresh=refresh, trouble=self._trouble)
        except KubeError as error:
            if error.conflict:
                return PassResult(recheck_s=CONFLICT_RETRY_S)
            return await self._failed(error, known=True)
        except (OSError, TimeoutError) as error:
            return await self._failed(error, known=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mesh must not be left alone
            return await self._failed(error, known=False)
        finally:
            self._pass_started_at = None
            self._metrics.observe_pass(time.monotonic() - started)
        self._failures, self._trouble = 0, None
        self._refreshed_at = started if refresh else self._refreshed_at
        self._metrics.count_pass("ok")
        return done

    async def _failed(self, error: Exception, *, known: bool) -> PassResult:
        namespace, name = self._key
        delay = min(self._settings.first_backoff_s * 2**self._failures, self._settings.longest_backoff_s)
        self._failures = min(self._failures + 1, 16)
        self._metrics.count_pass("error")
        said = str(error) or type(error).__name__
        logger.error(
            "pass failed, next in %.0f s: %s", delay, said, exc_info=not known, extra={"namespace": namespace, "mesh": name}
        )
        if self._failures > 1:  # once is noise
            self._trouble = Problem("ReconcileFailed", said)
            with suppress(KubeError, OSError, TimeoutError, ValueError):
                await self._report_failure(namespace, name, self._trouble)
        return PassResult(recheck_s=delay)


class Workers:
    """The workers of all meshes."""

    def __init__(self, start: Callable[[MeshKey], MeshWorker]) -> None:
        self._start = start
        self._running: dict[MeshKey, tuple[MeshWorker, asyncio.Task[None]]] = {}

    def wake(self, namespace: str, name: str) -> None:
        """Have a pass made soon; the worker of a mesh that was never heard of is started."""
        key = (namespace, name)
        if key in self._running:
            self._running[key][0].wake()
            return
        worker = self._start(key)
        task = asyncio.create_task(worker.run(), name=f"mesh {namespace}/{name}")
        self._running[key] = (worker, task)
        task.add_done_callback(lambda _: self._running.pop(key, None))

    def longest_pass_s(self) -> float:
        """How long the oldest running pass has been going on; 0 when none is."""
        started = [worker.pass_started_at for worker, _ in self._running.values() if worker.pass_started_at is not None]
        return time.monotonic() - min(started) if started else 0.0

    async def stop(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
