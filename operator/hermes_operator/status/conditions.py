"""Status of a HermesMesh: counts, phase, members and conditions, computed from what was seen; written only when it differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hermes_core.keystore.resume_verdict import ResumeJudgement
from hermes_operator import names
from hermes_operator.certificates.renewal import earliest_expiry
from hermes_operator.kube.event import Event
from hermes_operator.nodes.members import Member, render_members
from hermes_operator.observe.failures import KEYSTORE_REASONS
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.plan.actions import Problem
from hermes_operator.rollout.state import Rollout, Step, render_rollout
from hermes_operator.spec import MeshSpec
from hermes_operator.times import format_time

MAX_MESSAGE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StatusInput:
    """What a status is made from."""

    mesh: MeshSpec
    seen: Observed
    rollout: Rollout
    members: Mapping[str, Member]
    problems: tuple[Problem, ...] = ()
    last_check: Mapping[str, Any] | None = None

    @property
    def pods(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.seen.pods if pod.ordinal < self.mesh.replicas)

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    @property
    def target_revision(self) -> str:
        return self.seen.statefulset.update_revision if self.seen.statefulset else ""

    @property
    def updated(self) -> int:
        return sum(pod.revision == self.target_revision for pod in self.pods)

    @property
    def complete(self) -> bool:
        """Every wanted node is ready, at the wanted revision, and proven."""
        settled = self.seen.statefulset is not None and self.seen.statefulset.settled
        everyone = self.ready == self.mesh.replicas == self.updated
        return settled and everyone and self.rollout.step is Step.IDLE

    @property
    def failing(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.pods if pod.failed)


def build_status(given: StatusInput) -> dict[str, Any]:
    """The whole status object; the times of conditions come from the old status where nothing changed."""
    statefulset, old = given.seen.statefulset, given.seen.status
    members = tuple(given.members.values())
    status: dict[str, Any] = {
        "observedGeneration": given.mesh.generation,
        "replicas": len(given.pods),
        "readyReplicas": given.ready,
        "updatedReplicas": given.updated if given.target_revision else 0,
        "replicasReady": f"{given.ready}/{given.mesh.replicas}",
        "epochsResumed": _summarise_resumed(members),
        "currentRevision": statefulset.current_revision if statefulset else "",
        "targetRevision": given.target_revision,
        "selector": ",".join(f"{key}={value}" for key, value in sorted(names.selector_labels(given.mesh.name).items())),
        "version": ",".join(sorted({member.version for member in members if member.version and _exists(given, member)})),
        "phase": _phase(given),
        "members": render_members(members),
        "rollout": render_rollout(given.rollout),
        "conditions": _merge_conditions(given, old.get("conditions") or []),
    }
    status["lastResumeCheck"] = dict(given.last_check or old.get("lastResumeCheck") or {})
    return {key: value for key, value in status.items() if value not in ("", [], {})}


def build_conditions(given: StatusInput) -> tuple[Condition, ...]:
    return (
        _ready(given),
        _progressing(given),
        _degraded(given),
        _certificates_ready(given),
        _keystores_sealed(given),
        _resume_verified(given),
        _rollout_paused(given),
    )


def _ready(given: StatusInput) -> Condition:
    if given.complete:
        return Condition("Ready", "True", "AllNodesReady", f"All {given.mesh.replicas} nodes are ready")
    if given.seen.statefulset is None:
        return Condition("Ready", "False", "NotCreated", _first_problem(given) or "The nodes are not created yet")
    if given.ready < given.mesh.replicas:
        return Condition("Ready", "False", "NodesNotReady", f"{given.ready} of {given.mesh.replicas} nodes are ready")
    return Condition(
        "Ready", "False", "RolloutNotComplete", f"{given.updated} of {given.mesh.replicas} nodes have the new template"
    )


def _progressing(given: StatusInput) -> Condition:
    rollout = given.rollout
    if rollout.active:
        paused = given.mesh.rollout.paused and rollout.step is Step.WAITING
        where = rollout.message or (f"{rollout.step.value} {rollout.pod}".strip())
        return Condition("Progressing", "False" if paused else "True", "Paused" if paused else "RollingOut", where)
    if rollout.step is Step.HALTED:
        return Condition("Progressing", "False", "RolloutHalted", rollout.message)
    if given.complete:
        return Condition("Progressing", "False", "Complete", "Nothing is to be done")
    if given.problems and given.seen.statefulset is None:
        return Condition("Progressing", "False", given.problems[0].reason, _first_problem(given))
    return Condition("Progressing", "True", "WaitingForNodes", "Waiting for the nodes to become ready")


def _degraded(given: StatusInput) -> Condition:
    if given.rollout.step is Step.HALTED:
        return Condition("Degraded", "True", "RolloutHalted", given.rollout.message)
    if given.problems:
        return Condition("Degraded", "True", given.problems[0].reason, _first_problem(given))
    failing = given.failing
    if failing and failing[0].failure is not None:
        return Condition("Degraded", "True", failing[0].failure.reason, _describe_failures(failing))
    bad = [member for member in given.members.values() if member.bad]
    if bad:
        return Condition("Degraded", "True", "ResumeFailed", _describe_bad(bad))
    return Condition("Degraded", "False", "AsExpected", "No node has failed")


def _certificates_ready(given: StatusInput) -> Condition:
    files = given.seen.secrets.tls_files
    expiry = earliest_expiry(files)
    if expiry is None or not all(f"{pod}.crt" in files for pod in given.mesh.pods):
        return Condition("CertificatesReady", "False", "NotIssued", "Certificates are being issued")
    if expiry <= given.seen.now:
        return Condition("CertificatesReady", "False", "Expired", f"A certificate expired at {format_time(expiry)}")
    return Condition("CertificatesReady", "True", "Issued", f"The first certificate expires at {format_time(expiry)}")


def _keystores_sealed(given: StatusInput) -> Condition:
    problem = next((problem for problem in given.problems if problem.keystore), None)
    if problem is not None:
        return Condition("KeystoresSealed", "True", problem.reason, problem.message)
    sealed = [pod for pod in given.failing if pod.failure is not None and pod.failure.keystore]
    if sealed and sealed[0].failure is not None:
        return Condition("KeystoresSealed", "True", sealed[0].failure.reason, _describe_failures(sealed))
    if given.ready == given.mesh.replicas:
        return Condition("KeystoresSealed", "False", "AllOpened", "Every node has opened its keystore")
    return Condition("KeystoresSealed", "Unknown", "NodesNotReady", "Not every node has opened its keystore yet")


def _resume_verified(given: StatusInput) -> Condition:
    members = list(given.members.values())
    bad = [member for member in members if member.bad]
    if bad:
        return Condition("ResumeVerified", "False", "ResumeFailed", _describe_bad(bad))
    if not any(member.verdict for member in members):
        return Condition("ResumeVerified", "Unknown", "NotChecked", "No node was asked yet")
    return Condition("ResumeVerified", "True", "AllResumed", "Every node holds what it held before its last start")


def _rollout_paused(given: StatusInput) -> Condition:
    if given.mesh.rollout.paused:
        return Condition("RolloutPaused", "True", "Paused", "spec.rollout.paused is true: no further node is restarted")
    return Condition("RolloutPaused", "False", "NotPaused", "Rollouts go on by themselves")


def _merge_conditions(given: StatusInput, old: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    before = {condition["type"]: condition for condition in old}
    return [_render_condition(condition, before.get(condition.type), given) for condition in build_conditions(given)]


def _render_condition(condition: Condition, before: Mapping[str, Any] | None, given: StatusInput) -> dict[str, Any]:
    unchanged = before is not None and before["status"] == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "observedGeneration": given.mesh.generation,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and unchanged else format_time(given.seen.now),
        "reason": condition.reason,
        "message": condition.message[:MAX_MESSAGE_CHARS],
    }


def _phase(given: StatusInput) -> str:
    if given.mesh.deleted_at is not None:
        return "Deleting"
    if given.rollout.step is Step.HALTED:
        return "Halted"
    if given.rollout.active:
        return "Paused" if given.mesh.rollout.paused and given.rollout.step is Step.WAITING else "RollingOut"
    return _phase_at_rest(given)


def _phase_at_rest(given: StatusInput) -> str:
    if given.problems or given.failing or any(member.bad for member in given.members.values()):
        return "Degraded"
    if given.seen.statefulset is None:
        return "Pending"
    if given.ready == given.mesh.replicas:
        return "Running"
    # A mesh that never ran is being created; one that ran is missing somebody.
    return "Creating" if given.seen.status.get("phase", "") in {"", "Pending", "Creating"} else "Degraded"


def _summarise_resumed(members: Iterable[Member]) -> str:
    resumed = lost = 0
    for member in members:
        resumed += member.resumed_chats
        lost += member.lost_chats
    return f"{resumed}/{resumed + lost}"


def _exists(given: StatusInput, member: Member) -> bool:
    return any(pod.name == member.pod for pod in given.pods)


def _first_problem(given: StatusInput) -> str:
    return given.problems[0].message if given.problems else ""


def _describe_failures(pods: Iterable[PodView]) -> str:
    """Every failure once, with the pods that have it."""
    by_message: dict[str, list[str]] = {}
    for pod in pods:
        if pod.failure is not None:
            by_message.setdefault(pod.failure.message, []).append(pod.name)
    return "; ".join(f"{', '.join(names_)}: {message}" for message, names_ in by_message.items())


def _describe_bad(members: Iterable[Member]) -> str:
    told = "; ".join(f"{member.pod}: {member.verdict}, {member.detail}" for member in members)
    return f"{told}. Put the newest volume back, or remove the member from the status to accept that its chats must rekey"


def transition_events(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Event, ...]:
    """What a person should be told of when the status changes: readiness, and what needs a cure."""
    old = {condition["type"]: condition for condition in before.get("conditions") or []}
    events: list[Event] = []
    for condition in after.get("conditions") or []:
        was, now = old.get(condition["type"], {}).get("status", ""), condition["status"]
        if was == now:
            continue
        event = _transition_event(condition, was, expected=after.get("phase") in {"RollingOut", "Deleting"})
        if event is not None:
            events.append(event)
    return tuple(events)


def _transition_event(condition: Mapping[str, Any], was: str, *, expected: bool) -> Event | None:
    kind, now, reason, message = condition["type"], condition["status"], condition["reason"], condition["message"]
    if kind == "Ready" and now == "True":
        return Event("MeshReady", message)
    if kind == "Ready" and was == "True" and not expected:
        return Event("MeshNotReady", message, warning=True)
    if kind == "KeystoresSealed" and now == "True":
        return Event("KeystoreProblem", message, warning=True)
    if kind == "ResumeVerified" and now == "False":
        return Event("ResumeFailed", message, warning=True)
    # The rollout tells of its own halt, and the two above of theirs.
    if kind == "Degraded" and now == "True" and reason not in {"RolloutHalted", "ResumeFailed"} | KEYSTORE_REASONS:
        return Event("NodeProblem", message, warning=True)
    return None


def render_check(pod: str, trigger: str, judgement: ResumeJudgement, now: datetime) -> dict[str, Any]:
    """The content of `status.lastResumeCheck`."""
    return {
        "pod": pod,
        "time": format_time(now),
        "trigger": trigger,
        "result": "pass" if judgement.good else "fail",
        "detail": judgement.detail,
    }
