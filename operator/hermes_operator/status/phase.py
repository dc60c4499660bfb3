"""The one word that stands for a mesh."""

from __future__ import annotations

from hermes_operator.diagnose import Diagnosis
from hermes_operator.status.mesh_state import MeshState

# A mesh that never ran is being created; one that ran is missing somebody.
_NEVER_RAN = frozenset({"", "Pending", "Creating"})


def decide_phase(state: MeshState, diagnosis: Diagnosis, before: str) -> str:
    """`before`: the phase until now, empty for a new mesh."""
    if state.mesh.deleted_at is not None:
        return "Deleting"
    if diagnosis.halted is not None:
        return "Halted"
    if state.rollout.active:
        return "Paused" if state.paused else "RollingOut"
    return _phase_at_rest(state, diagnosis, before)


def _phase_at_rest(state: MeshState, diagnosis: Diagnosis, before: str) -> str:
    if diagnosis.gravest is not None:
        return "Degraded"
    if state.seen.statefulset is None:
        return "Pending"
    if state.ready == state.mesh.replicas:
        return "Running"
    return "Creating" if before in _NEVER_RAN else "Degraded"
