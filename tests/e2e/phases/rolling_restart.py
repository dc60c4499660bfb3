"""A verified rolling restart while a chat is live: one pod at a time, each proving that it came back with all it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.phases.context import LABEL_MESH, MESH, NAMESPACE, REPLICAS, condition, holds, require
from tests.e2e.phases.hermesctl import Hermesctl, require_clean_verdict
from tests.e2e.phases.pod_watch import PodWatch, find_down_together, order_of_replacement
from tests.e2e.phases.soak_job import SoakJob

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

ROLLOUT_S = 420.0
SETTLED_S = 60.0
PODS = [f"{MESH}-{n}" for n in range(REPLICAS)]
# What `kubectl describe hm` must tell, in this order; pods from the highest ordinal down.
STORY = ["RolloutStarted", *["WitnessTaken", "PodRestarting", "PodResumed"] * REPLICAS, "RolloutCompleted"]


def restart_verified(run: Run) -> str:
    """Restart all nodes under a live chat; returns what the chat noticed of it."""
    before = set(event_uids(run))
    with SoakJob(run) as soak:
        soak.await_flow()
        with PodWatch(run.kubectl, NAMESPACE, f"{LABEL_MESH}={MESH},app.kubernetes.io/component=node", REPLICAS) as watch:
            words = ("restart", MESH, "-n", NAMESPACE, "--wait", "--timeout", str(ROLLOUT_S))
            with Hermesctl(run, words, "rolling-restart.log") as restart:
                restart.await_success(within_s=ROLLOUT_S + 10.0)
            changes = list(watch.changes)
        verdict = require_clean_verdict(soak.stop())
    order = order_of_replacement(changes)
    require(order == PODS[::-1], f"pods were replaced in the order {order}", "highest ordinal first, each once")
    down = find_down_together(changes, PODS)
    require(len(down) == 1, f"down at one moment: {sorted(down)}", "at most one pod may be down")
    _require_story(run, before)
    mesh = run.await_mesh("Ready after the rollout", lambda m: holds(m, "Ready"), within_s=SETTLED_S)
    verified = condition(mesh, "ResumeVerified")
    require(holds(mesh, "ResumeVerified"), f"ResumeVerified is {verified}", f"kubectl describe hm -n {NAMESPACE} {MESH}")
    check = mesh["status"].get("lastResumeCheck", {})
    require(check.get("result") == "pass", f"status.lastResumeCheck is {check}", "look at the operator's log")
    return verdict


def mesh_events(run: Run) -> list[dict[str, str]]:
    """Return the Events of the mesh as uid, reason, message, in the order in which they were made."""
    selector = f"involvedObject.kind=HermesMesh,involvedObject.name={MESH}"
    events = (run.kubectl.get("events", "-n", NAMESPACE, "--field-selector", selector) or {"items": []})["items"]
    events.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [{"uid": e["metadata"]["uid"], "reason": e["reason"], "message": e["message"]} for e in events]


def event_uids(run: Run) -> list[str]:
    """Return the uids of the Events so far."""
    return [event["uid"] for event in mesh_events(run)]


def _require_story(run: Run, before: set[str]) -> None:
    told = [event for event in mesh_events(run) if event["uid"] not in before]
    run.write("rolling-restart-events.txt", "\n".join(f"{event['reason']:18} {event['message']}" for event in told))
    reasons = [event["reason"] for event in told if event["reason"] in STORY]
    require(reasons == STORY, f"the Events tell {reasons}", f"expected {STORY}")
    resumed = [event["message"].partition(":")[0] for event in told if event["reason"] == "PodResumed"]
    require(resumed == PODS[::-1], f"the Events name {resumed}", "highest ordinal first")
    shown = run.kubectl.run("describe", "hm", "-n", NAMESPACE, MESH)
    require("RolloutCompleted" in shown, "kubectl describe hm does not show the rollout", "look at the operator's Events")
