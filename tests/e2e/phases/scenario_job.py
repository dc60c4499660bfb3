"""The restart/resume scenario as a Job in the cluster, while this machine kills a node's process with SIGKILL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.harness.faults import await_restart, container_status, kill_container
from tests.e2e.phases.context import CONTAINER, MESH, NAMESPACE, holds, require
from tests.e2e.phases.hermesctl import Hermesctl, require_clean_verdict

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

VICTIM = f"{MESH}-0"  # the first app lives on the first node
START_S = 120.0
SCENARIO_S = 240.0
READY_S = 120.0
SIGKILLED = 137


def survive_sigkill(run: Run) -> str:
    """Kill the node while messages flow; the Job must see nothing lost, and the pod must be the same one."""
    before, claim = _pod(run), _claim_uid(run)
    words = ("check", "--mesh", MESH, "-n", NAMESPACE, "--kill", "external")
    with Hermesctl(run, words, "scenario-job.log") as check:
        check.await_line("READY", within_s=START_S)
        restarts = kill_container(run.cluster, NAMESPACE, VICTIM, CONTAINER)
        after = await_restart(run.cluster, NAMESPACE, VICTIM, CONTAINER, before=restarts)
        check.await_success(within_s=SCENARIO_S)
        verdict = require_clean_verdict(check.verdict())
    require(after["metadata"]["uid"] == before["metadata"]["uid"], f"{VICTIM} is another pod", "only its process was killed")
    require(_claim_uid(run) == claim, f"{VICTIM} has another volume claim", "look at the StatefulSet")
    status = container_status(after, CONTAINER)
    ended = status.get("lastState", {}).get("terminated", {})
    require(ended.get("exitCode") == SIGKILLED, f"kubelet saw {ended}, no SIGKILL", f"kubectl describe pod {VICTIM}")
    run.await_mesh("Ready after the SIGKILL", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
    run.await_mesh("ResumeVerified after the SIGKILL", lambda mesh: holds(mesh, "ResumeVerified"), within_s=READY_S)
    return verdict


def _pod(run: Run) -> Manifest:
    return run.kubectl.wait_pod_ready(NAMESPACE, VICTIM)


def _claim_uid(run: Run) -> str:
    claim = run.kubectl.get("pvc", "-n", NAMESPACE, f"keystore-{VICTIM}") or {}
    return str(claim.get("metadata", {}).get("uid", ""))
