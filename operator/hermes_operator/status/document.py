"""The whole status of a HermesMesh, and what the metrics show of it: built once for each state that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hermes_operator import names
from hermes_operator.diagnose import Diagnosis, diagnose
from hermes_operator.nodes.members import MemberRecord, render_members
from hermes_operator.nodes.resume_check import render_check
from hermes_operator.rollout.state import render_rollout
from hermes_operator.status.conditions import Condition, build_conditions, render_condition
from hermes_operator.status.mesh_state import MeshState
from hermes_operator.status.phase import decide_phase


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """`body`: the content of `status`."""

    body: dict[str, Any]
    conditions: tuple[Condition, ...]
    diagnosis: Diagnosis


def build_status(state: MeshState, before: Mapping[str, Any]) -> MeshStatus:
    """`before`: the status until now; the times of conditions come from it where nothing changed."""
    diagnosis = diagnose(state.rollout, state.problems, state.pods, state.members.values())
    conditions = build_conditions(state, diagnosis)
    old = {condition["type"]: condition for condition in before.get("conditions") or []}
    body = _build_counts(state) | {
        "phase": decide_phase(state, diagnosis, before.get("phase", "")),
        "members": render_members(state.members.values()),
        "rollout": render_rollout(state.rollout),
        "conditions": [
            render_condition(condition, old.get(condition.type), state.mesh.generation, state.seen.now)
            for condition in conditions
        ],
        "lastResumeCheck": render_check(state.last_check) if state.last_check else before.get("lastResumeCheck", {}),
    }
    return MeshStatus({key: value for key, value in body.items() if value not in ("", [], {})}, conditions, diagnosis)


def _build_counts(state: MeshState) -> dict[str, Any]:
    """Numbers and names that `kubectl get` and the scale subresource show."""
    statefulset, members = state.seen.statefulset, state.members.values()
    here = {pod.name for pod in state.pods}
    return {
        "observedGeneration": state.mesh.generation,
        "replicas": len(state.pods),
        "readyReplicas": state.ready,
        "updatedReplicas": state.updated if state.target_revision else 0,
        "replicasReady": f"{state.ready}/{state.mesh.replicas}",
        "epochsResumed": _summarise_resumed(members),
        "currentRevision": statefulset.current_revision if statefulset else "",
        "targetRevision": state.target_revision,
        "selector": ",".join(f"{key}={value}" for key, value in sorted(names.selector_labels(state.mesh.name).items())),
        "version": ",".join(sorted({member.version for member in members if member.version and member.pod in here})),
    }


def _summarise_resumed(members: Iterable[MemberRecord]) -> str:
    resumed = lost = 0
    for member in members:
        resumed += member.resumed_chats
        lost += member.lost_chats
    return f"{resumed}/{resumed + lost}"
