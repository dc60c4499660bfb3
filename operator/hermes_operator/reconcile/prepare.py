"""What shows only when it is tried: names that are taken, claims that cannot grow. Found before a pass stores its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes_operator.crd_spec import MeshSpec
from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube, KubeError
from hermes_operator.kube.event import Event
from hermes_operator.manifests.objects import object_key
from hermes_operator.observe.observed import Observed
from hermes_operator.observe.secrets import carries_label
from hermes_operator.plan.actions import Action, ApplyObject, GrowClaim, Plan, Problem, name_taken


@dataclass(frozen=True, slots=True)
class Prepared:
    """`actions`: what is left to do of the plan's."""

    actions: tuple[Action, ...]
    problems: tuple[Problem, ...] = ()
    events: tuple[Event, ...] = ()


async def prepare(api: Kube, mesh: MeshSpec, seen: Observed, plan: Plan) -> Prepared:
    """Take names that others hold out of the plan, and let claims grow: that depends on no rollout."""
    taken = await _find_taken(api, mesh, seen, plan.actions)
    grown = [await _grow_claim(api, mesh, claim) for claim in plan.growth]
    return Prepared(
        actions=tuple(action for action in plan.actions if action not in taken),
        problems=(
            *(name_taken(*object_key(action.manifest)) for action in taken),
            *(found for found in grown if isinstance(found, Problem)),
        ),
        events=tuple(event for event in grown if isinstance(event, Event)),
    )


async def _find_taken(api: Kube, mesh: MeshSpec, seen: Observed, actions: Sequence[Action]) -> list[ApplyObject]:
    """Objects whose name belongs to something that somebody else made. Those that were seen are the mesh's own."""
    taken: list[ApplyObject] = []
    for action in actions:
        if not isinstance(action, ApplyObject) or object_key(action.manifest) in seen.objects:
            continue
        found = await api.get(kinds.kind_of(action.manifest), mesh.namespace, action.manifest["metadata"]["name"])
        if found is not None and not carries_label(found, mesh.name):
            taken.append(action)
    return taken


async def _grow_claim(api: Kube, mesh: MeshSpec, claim: GrowClaim) -> Event | Problem:
    patch = {"spec": {"resources": {"requests": {"storage": claim.size}}}}
    try:
        await api.merge(kinds.CLAIMS, mesh.namespace, claim.name, patch)
    except KubeError as error:
        if not error.invalid:
            raise
        cure = "set allowVolumeExpansion on its storage class"
        return Problem("VolumeCannotGrow", f"claim {claim.name} cannot grow to {claim.size}: {error}; {cure}")
    return Event("VolumeGrows", f"Claim {claim.name} grows to {claim.size}")
