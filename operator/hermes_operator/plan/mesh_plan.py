"""Desired and observed in, actions out. Pure: the same arguments give the same plan; one carried out leaves nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.durations import parse_quantity
from hermes_operator.manifests.objects import Manifest, object_key, stamp_applied
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import Action, ApplyObject, DeleteObject, GrowClaim, Plan
from hermes_operator.plan.deletion import plan_deletion
from hermes_operator.plan.drift import needs_apply
from hermes_operator.plan.finalizer import plan_finalizer
from hermes_operator.plan.secrets import plan_secrets
from hermes_operator.plan.template_change import describe_change
from hermes_operator.plan.wanted import build_objects, build_wanted_statefulset
from hermes_operator.rollout.decisions import POLL_S
from hermes_operator.rollout.machine import begin_rollout, plan_rollout
from hermes_operator.rollout.rollout_input import RolloutInput
from hermes_operator.rollout.scale_down import held_replicas, plan_scale_down
from hermes_operator.rollout.state import Decision, Rollout, RolloutStep, parse_rollout


def plan_mesh(mesh: MeshSpec, seen: Observed, cluster_domain: str) -> Plan:
    """The whole plan of one pass."""
    rollout = parse_rollout(seen.status, mesh.replicas)
    if mesh.deleted_at is not None:
        return plan_deletion(mesh, seen, rollout)
    made, problems = plan_secrets(mesh, seen, cluster_domain)
    first = (*plan_finalizer(mesh, seen), *made)
    if seen.statefulset is None and (made or problems):
        # Pods would only crash without their Secrets; the next pass finds them.
        return Plan(Decision(rollout, recheck_s=None if problems else 0), first, problems)
    decision = _plan_rollout(mesh, seen, rollout)
    wanted = [stamp_applied(manifest) for manifest in _build_objects(mesh, seen, decision.rollout)]
    changed = (ApplyObject(manifest) for manifest in wanted if needs_apply(manifest, seen.objects.get(object_key(manifest))))
    actions = (*first, *changed, *_plan_prune(mesh, seen, wanted))
    return Plan(decision, actions, problems, growth=_plan_growth(mesh, seen))


def _plan_rollout(mesh: MeshSpec, seen: Observed, rollout: Rollout) -> Decision:
    current = seen.statefulset
    if current is None:
        return Decision(Rollout(partition=mesh.replicas))
    wanted = build_wanted_statefulset(mesh, seen, mesh.replicas)
    change = describe_change(current.template, wanted, seen.objects.get(object_key(wanted)))
    if change:
        if rollout.step is RolloutStep.WAITING and not rollout.target_revision and rollout.reason == change:
            return Decision(rollout, recheck_s=POLL_S)  # stored, but not applied yet
        return begin_rollout(rollout, mesh.replicas, change, seen.now)
    scaling = plan_scale_down(rollout, mesh.replicas, seen) if current.settled else None
    if scaling is not None:
        return scaling
    if not current.settled or current.replicas != mesh.replicas:
        return Decision(rollout, recheck_s=POLL_S)
    move = mesh.rollout.chats == "Move"
    settings = RolloutInput(current, seen.pods, mesh.rollout.paused, mesh.rollout.max_wait_s, move)
    return plan_rollout(rollout, settings, seen.now)


def _build_objects(mesh: MeshSpec, seen: Observed, rollout: Rollout) -> list[Manifest]:
    return build_objects(mesh, seen, rollout.partition, held_replicas(rollout, mesh.replicas, seen))


def _plan_prune(mesh: MeshSpec, seen: Observed, wanted: list[Manifest]) -> list[Action]:
    """Objects that this mesh owns and no longer wants, such as the budget of a mesh that shrank to one node."""
    keep = {object_key(manifest) for manifest in wanted}
    return [DeleteObject(*key) for key, body in seen.objects.items() if key not in keep and _is_owned(body, mesh)]


def _is_owned(body: Mapping[str, Any], mesh: MeshSpec) -> bool:
    return any(owner.get("uid") == mesh.uid for owner in body["metadata"].get("ownerReferences") or [])


def _plan_growth(mesh: MeshSpec, seen: Observed) -> tuple[GrowClaim, ...]:
    wanted = parse_quantity(mesh.keystore.size)
    return tuple(
        GrowClaim(claim["metadata"]["name"], mesh.keystore.size)
        for claim in seen.claims
        if names.pod_ordinal(claim["metadata"]["name"]) < mesh.replicas
        and parse_quantity(claim["spec"]["resources"]["requests"]["storage"]) < wanted
    )
