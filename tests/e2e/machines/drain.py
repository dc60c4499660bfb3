"""A machine is drained: the disruption budget lets one node go at a time, and its chats are resumed when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.harness.wait import until
from tests.e2e.machines.place import FIRST, LAST, machine_of
from tests.e2e.machines.silence import under_chat
from tests.e2e.phases.context import NAMESPACE, require

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

DRAIN_S = 120
REFUSED_S = 5
PENDING_S = 60.0
WORDS = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
BUDGET = "disruption budget"


def drain_machine(run: Run) -> str:
    """Drain the first app's machine; another is refused meanwhile; then let it back."""

    def event() -> str:
        first, other = machine_of(run, FIRST), machine_of(run, LAST)
        run.kubectl.run("drain", first, *WORDS, f"--timeout={DRAIN_S}s", timeout_s=DRAIN_S + 10.0)
        why = until(
            "a pod that waits for its machine", lambda: _waits_because(run), within_s=PENDING_S, cure="kubectl get pods"
        )
        second = run.kubectl.attempt("drain", other, *WORDS, f"--timeout={REFUSED_S}s")
        require(
            second.returncode != 0 and BUDGET in second.stderr + second.stdout,
            f"a second machine was drained while {FIRST} was away: {second.stderr.strip()[-200:]}",
            f"kubectl get pdb -n {NAMESPACE}",
        )
        run.kubectl.run("uncordon", first, other)
        run.kubectl.wait_pod_ready(NAMESPACE, FIRST, within_s=DRAIN_S)
        return f"{FIRST} waited for its machine ({why}), a second drain was refused"

    return under_chat(run, event, log="drain-soak.log", min_resumes=1)


def _waits_because(run: Run) -> str | None:
    """Return why no machine takes the pod: its volume is on the one that is drained."""
    pod: Manifest = run.kubectl.get("pod", "-n", NAMESPACE, FIRST) or {}
    conditions = pod.get("status", {}).get("conditions", [])
    return next((c.get("reason") for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), None)
