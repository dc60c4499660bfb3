"""The conditions of a mesh: one function for each, from what is known and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hermes_operator.certificates.renewal import earliest_expiry
from hermes_operator.diagnose import Diagnosis
from hermes_operator.rollout.state import ScaleDown
from hermes_operator.status.mesh_state import MeshState
from hermes_operator.times import format_time

MAX_MESSAGE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str


def build_conditions(state: MeshState, diagnosis: Diagnosis) -> tuple[Condition, ...]:
    return (
        _ready(state, diagnosis),
        _progressing(state, diagnosis) if state.rollout.scale_down is None else _scaling_down(state.rollout.scale_down),
        degraded(diagnosis),
        _certificates_ready(state),
        _keystores_sealed(state, diagnosis),
        _resume_verified(state, diagnosis),
        _rollout_paused(state),
    )


def render_condition(condition: Condition, before: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    """As it stands in the status; `before`: the same condition until now, whose time stays while its status does."""
    unchanged = before is not None and before["status"] == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and unchanged else format_time(now),
        "reason": condition.reason,
        "message": condition.message[:MAX_MESSAGE_CHARS],
    }


def degraded(diagnosis: Diagnosis) -> Condition:
    """The gravest finding."""
    if diagnosis.gravest is not None:
        return Condition("Degraded", "True", diagnosis.gravest.reason, diagnosis.gravest.message)
    return Condition("Degraded", "False", "AsExpected", "No node has failed")


def _ready(state: MeshState, diagnosis: Diagnosis) -> Condition:
    replicas = state.mesh.replicas
    if state.complete:
        return Condition("Ready", "True", "AllNodesReady", f"All {replicas} nodes are ready")
    if state.seen.statefulset is None:
        why = diagnosis.problem.message if diagnosis.problem is not None else "The nodes are not created yet"
        return Condition("Ready", "False", "NotCreated", why)
    if state.ready < replicas:
        return Condition("Ready", "False", "NodesNotReady", f"{state.ready} of {replicas} nodes are ready")
    return Condition("Ready", "False", "RolloutNotComplete", f"{state.updated} of {replicas} nodes have the new template")


def _progressing(state: MeshState, diagnosis: Diagnosis) -> Condition:
    rollout = state.rollout
    if rollout.active:
        where = rollout.message or (f"{rollout.step.value} {rollout.pod}".strip())
        if state.paused:
            return Condition("Progressing", "False", "Paused", where)
        return Condition("Progressing", "True", "RollingOut", where)
    if diagnosis.halted is not None:
        return Condition("Progressing", "False", diagnosis.halted.reason, diagnosis.halted.message)
    if state.complete:
        return Condition("Progressing", "False", "Complete", "Nothing is to be done")
    if diagnosis.problem is not None and state.seen.statefulset is None:
        return Condition("Progressing", "False", diagnosis.problem.reason, diagnosis.problem.message)
    return Condition("Progressing", "True", "WaitingForNodes", "Waiting for the nodes to become ready")


def _scaling_down(down: ScaleDown) -> Condition:
    left = "asking" if down.chats_left is None else f"{down.chats_left} chats have not moved yet from"
    message = f"Scaling down to {down.replicas} nodes" + ("" if down.released else f": {left} the nodes that leave")
    return Condition("Progressing", "True", "ScalingDown", message)


def _certificates_ready(state: MeshState) -> Condition:
    files = state.seen.secrets.tls_files
    expiry = earliest_expiry(files)
    if expiry is None or not all(f"{pod}.crt" in files for pod in state.mesh.pods):
        return Condition("CertificatesReady", "False", "NotIssued", "Certificates are being issued")
    if expiry <= state.seen.now:
        return Condition("CertificatesReady", "False", "Expired", f"A certificate expired at {format_time(expiry)}")
    return Condition("CertificatesReady", "True", "Issued", f"The first certificate expires at {format_time(expiry)}")


def _keystores_sealed(state: MeshState, diagnosis: Diagnosis) -> Condition:
    if diagnosis.sealed is not None:
        return Condition("KeystoresSealed", "True", diagnosis.sealed.reason, diagnosis.sealed.message)
    if state.ready == state.mesh.replicas:
        return Condition("KeystoresSealed", "False", "AllOpened", "Every node has opened its keystore")
    return Condition("KeystoresSealed", "Unknown", "NodesNotReady", "Not every node has opened its keystore yet")


def _resume_verified(state: MeshState, diagnosis: Diagnosis) -> Condition:
    if diagnosis.bad is not None:
        return Condition("ResumeVerified", "False", diagnosis.bad.reason, diagnosis.bad.message)
    if not any(member.verdict for member in state.members.values()):
        return Condition("ResumeVerified", "Unknown", "NotChecked", "No node was asked yet")
    return Condition("ResumeVerified", "True", "AllResumed", "Every node holds what it held before its last start")


def _rollout_paused(state: MeshState) -> Condition:
    if state.mesh.rollout.paused:
        return Condition("RolloutPaused", "True", "Paused", "spec.rollout.paused is true: no further node is restarted")
    return Condition("RolloutPaused", "False", "NotPaused", "Rollouts go on by themselves")
