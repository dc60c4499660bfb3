"""Two apps on two nodes that keep a chat busy until they are told to stop: a Job that the test starts and ends."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from hermes_client.scenario.soak import STEP_TIMEOUT_S
from hermes_ctl.check_job import build_job
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.wait import until
from tests.e2e.phases.context import NAMESPACE, REPLICAS
from tests.e2e.phases.hermesctl import VERDICT

if TYPE_CHECKING:
    from types import TracebackType

    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

# Longer than any rollout may take: the stop file ends it.
LONGEST_S = 900
RATE = 20
FOLDER = "/run/soak"
STOP_FILE = f"{FOLDER}/stop"
START_S = 120.0
SETTLE_S = 240.0
LOG = "soak-job.log"


def build_soak(mesh: Manifest, min_resumes: int) -> dict[str, Any]:
    """Return the Job of `hermesctl check`, with a folder in which a file can tell it to stop."""
    options = Namespace(duration=LONGEST_S, pairs=1, rate=RATE, min_resumes=min_resumes, step_timeout=STEP_TIMEOUT_S)
    job = build_job(mesh, options)
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["command"] += ["--stop-file", STOP_FILE]
    container["volumeMounts"].append({"name": "soak", "mountPath": FOLDER})
    pod["volumes"].append({"name": "soak", "emptyDir": {}})
    pod["terminationGracePeriodSeconds"] = 1
    pod["securityContext"]["fsGroup"] = pod["securityContext"]["runAsUser"]
    return job


Adapt = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_is(job: dict[str, Any]) -> dict[str, Any]:
    return job


class SoakJob:
    """The running Job. It is deleted when the block is left, its log kept."""

    def __init__(self, run: Run, *, min_resumes: int = REPLICAS - 1, adapt: Adapt = _as_it_is, log: str = LOG) -> None:
        self._run = run
        self._log = log
        self._job = adapt(build_soak(run.mesh(), min_resumes))
        self._name = self._job["metadata"]["name"]

    def __enter__(self) -> Self:
        self._run.kubectl.apply(self._job)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._run.write(self._log, self.log() or "(no output)")
        self._run.kubectl.attempt("delete", "job", "-n", NAMESPACE, self._name, "--cascade=foreground", "--timeout=60s")

    def await_flow(self) -> None:
        """Return when messages flow."""

        def flows() -> bool:
            lines = self.log().splitlines()
            self._run.note = lines[-1] if lines else "the soak starts"
            verdict = next((line for line in lines if VERDICT.match(line)), None)
            if verdict is not None:
                raise HarnessError(f"the soak ended before it began: {verdict}", f"read {self._run.out / self._log}")
            return any(line.startswith("READY") for line in lines)

        until("messages of the soak", flows, within_s=START_S, cure=f"kubectl describe job -n {NAMESPACE}", poll_s=0.5)

    def stop(self) -> str:
        """Tell it to stop, and return its verdict once every message has arrived or is known to be lost."""
        pod = self._pod()
        self._run.kubectl.run("exec", "-n", NAMESPACE, pod, "--", "touch", STOP_FILE)
        return self.await_verdict(within_s=SETTLE_S)

    def await_verdict(self, *, within_s: float) -> str:
        """Return its verdict once it has ended, by itself or because it was told to."""

        def verdict() -> str | None:
            lines = self.log().splitlines()
            self._run.note = lines[-1] if lines else ""
            return next((line for line in lines if VERDICT.match(line)), None)

        return until(
            "the verdict of the soak",
            verdict,
            within_s=within_s,
            cure=f"kubectl logs -n {NAMESPACE} job/{self._name}",
            poll_s=0.5,
        )

    def log(self) -> str:
        """Return what it said so far."""
        return self._run.kubectl.attempt("logs", "-n", NAMESPACE, f"job/{self._name}").stdout

    def _pod(self) -> str:
        selector = f"batch.kubernetes.io/job-name={self._name}"
        pods = (self._run.kubectl.get("pods", "-n", NAMESPACE, "-l", selector) or {"items": []})["items"]
        if not pods:
            raise HarnessError(f"job {self._name} has no pod", f"kubectl describe job -n {NAMESPACE} {self._name}")
        return str(pods[0]["metadata"]["name"])
