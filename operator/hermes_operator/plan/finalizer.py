"""The finalizer: it keeps a mesh that is being deleted until its keystores are wiped; only with `retentionPolicy: Delete`."""

from __future__ import annotations

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import SetFinalizers


def plan_finalizer(mesh: MeshSpec, seen: Observed) -> list[SetFinalizers]:
    """Set or taken away, as the retention policy says."""
    if wants_wipe(mesh) == is_held(seen):
        return []
    return [SetFinalizers((*seen.finalizers, names.FINALIZER))] if wants_wipe(mesh) else [plan_release(seen)]


def plan_release(seen: Observed) -> SetFinalizers:
    """Let the object go; finalizers of others stay."""
    return SetFinalizers(tuple(name for name in seen.finalizers if name != names.FINALIZER))


def wants_wipe(mesh: MeshSpec) -> bool:
    """Whether keystores are erased with the mesh."""
    return mesh.keystore.retention_policy == "Delete"


def is_held(seen: Observed) -> bool:
    return names.FINALIZER in seen.finalizers
