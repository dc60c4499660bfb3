"""The verified rolling restart as a pure state machine: one call, one step. Drawn in docs/concepts/rolling-restart.md.

Idle → Waiting → Witness → Drain → Restart → Verify → Waiting (next pod) … → Idle, or → Halted.
The gate is the StatefulSet's partition, which lives in the API server; the machine only says where it must stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from hermes_core.keystore.resume_verdict import ResumeJudgement
from hermes_operator.kube.event import Event
from hermes_operator.nodes.resume_report import Witness
from hermes_operator.observe.observed import PodView, StatefulSetView
from hermes_operator.rollout.state import CheckResume, Decision, DeletePod, DrainPod, Rollout, Step, TakeWitness

POLL_S = 2.0
UNTRACKED_REASON = "the pod template was changed outside of the HermesMesh"


@dataclass(frozen=True, slots=True)
class RolloutInput:
    """What the machine decides from. `statefulset` must be settled."""

    statefulset: StatefulSetView
    pods: tuple[PodView, ...]
    paused: bool
    max_wait_s: float

    @property
    def replicas(self) -> int:
        return self.statefulset.replicas

    def members(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.pods if pod.ordinal < self.replicas)

    def pod(self, name: str) -> PodView | None:
        return next((pod for pod in self.members() if pod.name == name), None)

    def outdated(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.members() if pod.revision != self.statefulset.update_revision)


def begin_rollout(rollout: Rollout, replicas: int, reason: str, now: datetime) -> Decision:
    """A new pod template: park the partition above all pods, whatever was going on. A newer spec always supersedes."""
    outcome = "superseded" if rollout.active else ""
    fresh = Rollout(
        step=Step.WAITING,
        partition=replicas,
        reason=reason,
        started_at=now,
        step_started_at=now,
        finished_at=rollout.finished_at,
    )
    events = [Event("RolloutStarted", f"Restarting the nodes one by one: {reason}")]
    if rollout.active or rollout.step is Step.HALTED:
        events.insert(0, Event("RolloutSuperseded", f"A newer spec replaces the rollout that was at {rollout.step.value}"))
    return Decision(fresh, events=tuple(events), recheck_s=POLL_S, outcome=outcome)


def plan_rollout(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    """The next step. Calling it again with the same arguments gives the same answer."""
    target = seen.statefulset.update_revision
    if rollout.step is Step.IDLE:
        return _plan_idle(rollout, seen, now)
    if rollout.target_revision and rollout.target_revision != target:
        return begin_rollout(rollout, seen.replicas, UNTRACKED_REASON, now)
    rollout = replace(rollout, target_revision=target, partition=min(rollout.partition, seen.replicas))
    if rollout.step is Step.HALTED:
        return Decision(rollout)
    if rollout.step is Step.REPLACE:
        return _plan_replace(rollout, seen, now)
    if rollout.step is Step.WAITING:
        return _plan_next(rollout, seen, now)
    return _plan_pod(rollout, seen, now)


def _plan_idle(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    if seen.outdated():
        return begin_rollout(rollout, seen.replicas, UNTRACKED_REASON, now)
    return Decision(replace(rollout, partition=seen.replicas, target_revision=seen.statefulset.update_revision))


def _plan_next(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    outdated = seen.outdated()
    if not outdated:
        return _plan_completion(rollout, seen, now)
    if seen.paused:
        return _wait(rollout, "paused by spec.rollout.paused", recheck_s=None)
    if _nothing_to_lose(seen):
        event = Event("PodsReplaced", "No node is ready and all have failed: they are replaced without waiting for each other")
        return _plan_replace(_enter(rollout, Step.REPLACE, now, partition=0), seen, now, (event,))
    pod = outdated[-1]
    others = [other for other in seen.members() if other.name != pod.name]
    # An old pod that cannot become ready holds up nothing: the new template may be its cure.
    hopeless = {other.name for other in outdated if other.failed or _overdue(rollout, seen, now)}
    down = [other.name for other in others if not other.ready and other.name not in hopeless] + _missing(seen)
    if down:
        return _wait(rollout, f"waiting for {', '.join(sorted(down))} to be ready before {pod.name} is restarted")
    if pod.terminating:
        return _wait(rollout, f"waiting for {pod.name} to end")
    begun = _enter(rollout, Step.WITNESS, now, pod=pod.name, pod_uid=pod.uid, witness=None)
    return _plan_pod(begun, seen, now)


def _plan_completion(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    unready = [pod.name for pod in seen.members() if not pod.ready] + _missing(seen)
    if unready:
        return _wait(rollout, f"all pods have the new template; waiting for {', '.join(sorted(unready))} to be ready")
    if seen.statefulset.current_revision != seen.statefulset.update_revision:
        # Parked before the controller has taken the new revision for the current one, a pod that dies would come back old.
        return _wait(replace(rollout, partition=0), "all pods have the new template; waiting for the StatefulSet to record it")
    proven = f"; {', '.join(rollout.completed)} restarted and proved their resume" if rollout.completed else ""
    message = f"All {seen.replicas} nodes have the new template{proven}"
    done = Rollout(
        partition=seen.replicas,
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
        return Decision(_enter(rollout, Step.WAITING, now), events=events, recheck_s=POLL_S)
    if any(pod.ready for pod in outdated):
        # One came up after all: from here on there is something to lose.
        parked = _enter(rollout, Step.WAITING, now, partition=seen.replicas)
        return Decision(parked, events=events, recheck_s=POLL_S)
    doomed = tuple(DeletePod(pod.name, pod.uid) for pod in outdated if not pod.terminating)
    message = f"replacing {', '.join(pod.name for pod in outdated)}"
    # Deleting before the partition is at 0 would bring the old template back.
    effects = doomed if seen.statefulset.partition == 0 else ()
    return Decision(replace(rollout, message=message), effects=effects, events=events, recheck_s=POLL_S)


def _plan_pod(rollout: Rollout, seen: RolloutInput, now: datetime) -> Decision:
    pod = seen.pod(rollout.pod)
    if pod is None and rollout.step in {Step.WITNESS, Step.DRAIN}:
        return _wait(_enter(rollout, Step.WAITING, now), f"{rollout.pod} is gone; looking again")
    if rollout.step in {Step.WITNESS, Step.DRAIN}:
        return _plan_before(rollout, pod, seen, now) if pod is not None else _wait(rollout, "")
    return _plan_after(rollout, pod, seen, now)


def _plan_before(rollout: Rollout, pod: PodView, seen: RolloutInput, now: datetime) -> Decision:
    if pod.uid != rollout.pod_uid or pod.terminating:
        # Somebody else restarted it: its witness is no longer the newest truth.
        return _wait(_enter(rollout, Step.WAITING, now, witness=None), f"{pod.name} restarted by itself; looking again")
    if rollout.step is Step.DRAIN:
        return Decision(rollout, effects=(DrainPod(pod.name),), recheck_s=POLL_S)
    if pod.failed or not pod.running:
        why = pod.failure.message if pod.failure else "its container does not run"
        return _lower_partition(rollout, now, f"no witness: {why}")
    if _overdue(rollout, seen, now):
        return _halt(rollout, now, f"{pod.name} gave no witness within {seen.max_wait_s:.0f} s: {rollout.message}")
    return Decision(rollout, effects=(TakeWitness(pod.name),), recheck_s=POLL_S)


def _plan_after(rollout: Rollout, pod: PodView | None, seen: RolloutInput, now: datetime) -> Decision:
    ordinal_gone = (
        pod is None and all(other.ordinal < rollout.partition for other in seen.members()) and _removed(rollout, seen)
    )
    if ordinal_gone:
        return _wait(_enter(rollout, Step.WAITING, now), f"{rollout.pod} was scaled away")
    fresh = pod is not None and pod.uid != rollout.pod_uid and pod.revision == seen.statefulset.update_revision
    if pod is not None and fresh and pod.failure is not None and pod.failure.permanent:
        return _halt(rollout, now, f"{pod.name} did not come back: {pod.failure.message}")
    if _overdue(rollout, seen, now):
        return _halt(rollout, now, f"{rollout.pod} did not come back within {seen.max_wait_s:.0f} s: {_why(rollout, pod)}")
    if pod is not None and fresh and pod.ready:
        verifying = rollout if rollout.step is Step.VERIFY else replace(rollout, step=Step.VERIFY, message="")
        return Decision(verifying, effects=(CheckResume(pod.name, rollout.witness),), recheck_s=POLL_S)
    restarting = replace(rollout, step=Step.RESTART, message=_why(rollout, pod))
    return Decision(restarting, recheck_s=POLL_S)


def record_witness(rollout: Rollout, witness: Witness | None, problem: str, *, ready: bool, now: datetime) -> Decision:
    """The node answered TakeWitness, or could not (`problem`). One that is not ready holds up nothing."""
    if witness is not None:
        message = (
            f"{rollout.pod} holds {witness.live_chats} live chats; keystore generation {witness.generation}, "
            f"commit counter {witness.commit_counter}"
        )
        taken = _enter(rollout, Step.DRAIN, now, witness=witness)
        return Decision(taken, events=(Event("WitnessTaken", message),), recheck_s=0)
    if not ready:
        return _lower_partition(rollout, now, f"no witness: {problem}")
    return _wait(rollout, f"no witness of {rollout.pod} yet: {problem}")


def record_drain(rollout: Rollout, problem: str, now: datetime) -> Decision:
    """The node drains, or could not be told to: it does so on SIGTERM as well."""
    return _lower_partition(rollout, now, problem and f"drain: {problem}")


def record_check(rollout: Rollout, judgement: ResumeJudgement | None, problem: str, now: datetime) -> Decision:
    """The node's resume was judged, or it could not be asked (`problem`)."""
    if judgement is None:
        return _wait(rollout, f"no resume report of {rollout.pod} yet: {problem}")
    if not judgement.good:
        return _halt(rollout, now, f"{rollout.pod} failed its resume check ({judgement.verdict.name}): {judgement.detail}")
    proven = _enter(rollout, Step.WAITING, now, witness=None)
    proven = replace(proven, completed=(*rollout.completed, rollout.pod), pod="", pod_uid="")
    return Decision(proven, events=(Event("PodResumed", f"{rollout.pod}: {judgement.detail}"),), recheck_s=0)


def _lower_partition(rollout: Rollout, now: datetime, note: str) -> Decision:
    ordinal = int(rollout.pod.rpartition("-")[2])
    message = f"Restarting {rollout.pod}: {rollout.reason}" + (f" ({note})" if note else "")
    return Decision(
        _enter(rollout, Step.RESTART, now, partition=ordinal), events=(Event("PodRestarting", message),), recheck_s=0
    )


def _halt(rollout: Rollout, now: datetime, why: str) -> Decision:
    halted = replace(_enter(rollout, Step.HALTED, now), message=why)
    event = Event("RolloutHalted", f"{why}. No other node is restarted until the spec changes", warning=True)
    return Decision(halted, events=(event,), outcome="halted")


def _wait(rollout: Rollout, message: str, recheck_s: float | None = POLL_S) -> Decision:
    return Decision(replace(rollout, message=message), recheck_s=recheck_s)


def _enter(rollout: Rollout, step: Step, now: datetime, **changes: object) -> Rollout:
    return replace(rollout, step=step, step_started_at=now, message="", **changes)  # type: ignore[arg-type]


def _overdue(rollout: Rollout, seen: RolloutInput, now: datetime) -> bool:
    started = rollout.step_started_at or now
    return (now - started).total_seconds() > seen.max_wait_s


def _nothing_to_lose(seen: RolloutInput) -> bool:
    members = seen.members()
    return bool(members) and all(pod.failed or pod.terminating for pod in members)


def _missing(seen: RolloutInput) -> list[str]:
    """Pods the StatefulSet wants and the cluster has not."""
    present = {pod.ordinal for pod in seen.members()}
    return [f"ordinal {ordinal}" for ordinal in range(seen.replicas) if ordinal not in present]


def _removed(rollout: Rollout, seen: RolloutInput) -> bool:
    return int(rollout.pod.rpartition("-")[2]) >= seen.replicas


def _why(rollout: Rollout, pod: PodView | None) -> str:
    if pod is None:
        return f"{rollout.pod} does not exist yet"
    if pod.failure is not None:
        return pod.failure.message
    if pod.uid == rollout.pod_uid:
        return f"{pod.name} is ending"
    return rollout.message if rollout.step is Step.VERIFY else f"{pod.name} is starting"
