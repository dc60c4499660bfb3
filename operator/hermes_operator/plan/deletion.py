"""Plan of a mesh that is being deleted: what happens to its keystores, in an order that loses nothing and cannot hang."""

from __future__ import annotations

from datetime import timedelta

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import Action, DeleteObject, Plan, WipePods
from hermes_operator.plan.finalizer import is_held, plan_release, wants_wipe
from hermes_operator.rollout.decisions import POLL_S
from hermes_operator.rollout.state import Decision, Rollout
from hermes_operator.times import parse_time

# A mesh that is deleted is gone after this, wiped or not.
DELETION_DEADLINE = timedelta(seconds=180)


def plan_deletion(mesh: MeshSpec, seen: Observed, rollout: Rollout) -> Plan:
    """Retain: the owner references do all of it. Delete: wipe, end the pods, delete volumes and passphrase, and let go."""
    if not is_held(seen):
        return Plan(Decision(rollout), released=True)
    if not wants_wipe(mesh):
        return Plan(Decision(rollout), (plan_release(seen),), released=True)
    started = parse_time(mesh.deleted_at) or seen.now
    overdue = seen.now - started > DELETION_DEADLINE
    statefulset = seen.objects.get(("StatefulSet", mesh.name))
    actions: list[Action] = []
    if statefulset is not None and not statefulset["metadata"].get("deletionTimestamp"):
        reachable = tuple(pod for pod in seen.pods if pod.running and pod.ip)
        actions += [WipePods(reachable)] if reachable else []
        actions.append(DeleteObject("StatefulSet", mesh.name))
    if (statefulset is not None or seen.pods) and not overdue:
        return Plan(Decision(rollout, recheck_s=POLL_S), tuple(actions))
    actions += [
        DeleteObject("PersistentVolumeClaim", claim["metadata"]["name"])
        for claim in seen.claims
        if not claim["metadata"].get("deletionTimestamp")
    ]
    if mesh.keystore.passphrase_secret_ref is None and seen.secrets.passphrase_stored:
        actions.append(DeleteObject("Secret", names.passphrase_secret(mesh.name)))
    return Plan(Decision(rollout), (*actions, plan_release(seen)), released=True)
