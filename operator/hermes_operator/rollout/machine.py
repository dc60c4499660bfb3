"""The verified rolling restart as a pure state machine: one call, one step. Drawn in docs/concepts/rolling-restart.md.

Idle → Waiting → Witness → Drain → Restart → Verify → Waiting (next pod) … → Idle, or → Halted.
What the nodes answer to a step's effects comes back through `answers`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hermes_operator import names
from hermes_operator.kube.event import Event
from hermes_operator.observe.observed import PodView
from hermes_operator.rollout import partition_gate
from hermes_operator.rollout.decisions import POLL_S, enter_step, halt, restart_pod, wait
from hermes_operator.rollout.rollout_input import RolloutInput
from hermes_operator.rollout.state import (
    CheckResume,
    Decision,
    DeletePod,
    DrainPod,
    Rollout,
    RolloutStep,
    TakeWitness,
)

UNTRACKED_REASON = "the pod template was changed outside of the HermesMesh"


def begin_rollout(rollout: Rollout, replicas: int, reason: str, now: datetime) -> Decision:
    """A new pod template: park the partition above all pods, whatever was going on. A newer spec always supersedes."""
    outcome = "superseded" if rollout.active else ""
    fresh = Rollout(
        step=RolloutStep.WAITING,
        partition=partition_gate.parked(replicas),
        reason=reason,
        started_at=now,
        step_started_at=now,
        finished_at=rollout.finished_at,
        scale_down=rollout.scale_down,
    )
    events = [Event("RolloutStarted", f"Restarting the nodes one by one: {reason}")]
    if rollout.active or rollout.step is RolloutStep.HALTED:
        events.insert(0, Event("RolloutSuperseded", f"A newer spec replaces the rollout that was at {rollout.step.value}"))
    return Decision(fresh, events=tuple(events), recheck_s=POLL_S, outcome=outcome)


def plan_rollout(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    """The next step. Calling it again with the same arguments gives the same answer."""
    target = seen.statefulset.update_revision
    if rollout.step is RolloutStep.IDLE:
        return _plan_idle(rollout, seen, now)
    if rollout.target_revision and rollout.target_revision != target:
        return begin_rollout(rollout, seen.replicas, UNTRACKED_REASON, now)
    rollout = replace(rollout, target_revision=target, partition=partition_gate.kept_within(rollout.partition, seen.replicas))
    if rollout.step is RolloutStep.HALTED:
        return Decision(rollout)
    if rollout.step is RolloutStep.REPLACE:
        return _plan_replace(rollout, seen, now)
    if rollout.step is RolloutStep.WAITING:
        return _plan_next(rollout, seen, now)
    return _plan_pod(rollout, seen, now)


def _plan_idle(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    if seen.outdated():
        return begin_rollout(rollout, seen.replicas, UNTRACKED_REASON, now)
    parked, target = partition_gate.parked(seen.replicas), seen.statefulset.update_revision
    return Decision(replace(rollout, partition=parked, target_revision=target))


def _plan_next(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    outdated = seen.outdated()
    if not outdated:
        return _plan_completion(rollout, seen, now)
    if seen.paused:
        return wait(rollout, "paused by spec.rollout.paused", recheck_s=None)
    if seen.nothing_to_lose():
        event = Event("PodsReplaced", "No node is ready and all have failed: they are replaced without waiting for each other")
        return _plan_replace(enter_step(rollout, RolloutStep.REPLACE, now, partition=partition_gate.OPEN), seen, now, (event,))
    pod = outdated[-1]
    hold = partition_gate.find_hold(rollout, pod, seen, now)
    if hold:
        return wait(rollout, hold)
    begun = enter_step(rollout, RolloutStep.WITNESS, now, pod=pod.name, pod_uid=pod.uid, witness=None)
    return _plan_pod(begun, seen, now)


def _plan_completion(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    unready = [pod.name for pod in seen.members() if not pod.ready] + seen.missing()
    if unready:
        return wait(rollout, f"all pods have the new template; waiting for {', '.join(sorted(unready))} to be ready")
    if seen.statefulset.current_revision != seen.statefulset.update_revision:
        # Parked before the controller has taken the new revision for the current one, a pod that dies would come back old.
        opened = replace(rollout, partition=partition_gate.OPEN)
        return wait(opened, "all pods have the new template; waiting for the StatefulSet to record it")
    proven = f"; {', '.join(rollout.completed)} restarted and proved their resume" if rollout.completed else ""
    message = f"All {seen.replicas} nodes have the new template{proven}"
    done = Rollout(
        partition=partition_gate.parked(seen.replicas),
        reason=rollout.reason,
        target_revision=rollout.target_revision,
        started_at=rollout.started_at,
        finished_at=now,
        completed=rollout.completed,
    )
    return Decision(done, events=(Event("RolloutCompleted", message),), outcome="completed")


def _plan_replace(rollout: Rollout, seen: RolloutInput, now: datetime, events: tuple[Event, ...] = ()) -> Decision:
    outdated = seen.outdated()
    if not outdated:
        return Decision(enter_step(rollout, RolloutStep.WAITING, now), events=events, recheck_s=POLL_S)
    if any(pod.ready for pod in outdated):
        # One came up after all: from here on there is something to lose.
        parked = enter_step(rollout, RolloutStep.WAITING, now, partition=partition_gate.parked(seen.replicas))
        return Decision(parked, events=events, recheck_s=POLL_S)
    doomed = tuple(DeletePod(pod.name, pod.uid) for pod in outdated if not pod.terminating)
    message = f"replacing {', '.join(pod.name for pod in outdated)}"
    # Deleting before the gate is open would bring the old template back.
    effects = doomed if seen.statefulset.partition == partition_gate.OPEN else ()
    return Decision(replace(rollout, message=message), effects=effects, events=events, recheck_s=POLL_S)


def _plan_pod(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    pod = seen.pod(rollout.pod)
    if rollout.step not in {RolloutStep.WITNESS, RolloutStep.DRAIN}:
        return _plan_after(rollout, pod, seen, now)
    if pod is None:
        return wait(enter_step(rollout, RolloutStep.WAITING, now), f"{rollout.pod} is gone; looking again")
    return _plan_before(rollout, pod, seen, now)


def _plan_before(rollout: Rollout, pod: PodView, seen: RolloutInput, now: datetime) -> Decision:
    if pod.uid != rollout.pod_uid or pod.terminating:
        # Somebody else restarted it: its witness is no longer the newest truth.
        return wait(
            enter_step(rollout, RolloutStep.WAITING, now, witness=None), f"{pod.name} restarted by itself; looking again"
        )
    if rollout.step is RolloutStep.DRAIN:
        return Decision(rollout, effects=(DrainPod(pod.name, seen.move),), recheck_s=POLL_S)
    if pod.failed or not pod.running:
        why = pod.failure.message if pod.failure else "its container does not run"
        return restart_pod(rollout, now, f"no witness: {why}")
    if seen.overdue(rollout, now):
        return halt(rollout, now, f"{pod.name} gave no witness within {seen.max_wait_s:.0f} s: {rollout.message}")
    return Decision(rollout, effects=(TakeWitness(pod.name),), recheck_s=POLL_S)


def _plan_after(rollout: Rollout, pod: PodView | None, seen: RolloutInput, now: datetime) -> Decision:
    if names.pod_ordinal(rollout.pod) >= seen.replicas:
        return wait(enter_step(rollout, RolloutStep.WAITING, now), f"{rollout.pod} was scaled away")
    fresh = pod is not None and pod.uid != rollout.pod_uid and pod.revision == seen.statefulset.update_revision
    if pod is not None and fresh and pod.failure is not None and pod.failure.permanent:
        return halt(rollout, now, f"{pod.name} did not come back: {pod.failure.message}")
    if seen.overdue(rollout, now):
        return halt(rollout, now, f"{rollout.pod} did not come back within {seen.max_wait_s:.0f} s: {_why(rollout, pod)}")
    if pod is not None and fresh and pod.ready:
        verifying = rollout if rollout.step is RolloutStep.VERIFY else replace(rollout, step=RolloutStep.VERIFY, message="")
        return Decision(verifying, effects=(CheckResume(pod.name, rollout.witness),), recheck_s=POLL_S)
    restarting = replace(rollout, step=RolloutStep.RESTART, message=_why(rollout, pod))
    return Decision(restarting, recheck_s=POLL_S)


def _why(rollout: Rollout, pod: PodView | None) -> str:
    if pod is None:
        return f"{rollout.pod} does not exist yet"
    if pod.failure is not None:
        return pod.failure.message
    if pod.uid == rollout.pod_uid:
        return f"{pod.name} is ending"
    return rollout.message if rollout.step is RolloutStep.VERIFY else f"{pod.name} is starting"
