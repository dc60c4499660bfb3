"""The plan: what is made, in which order, what is put back, what is never touched; carried out, it leaves nothing to do."""

from __future__ import annotations

import base64
import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.secrets import build_passphrase_secret
from hermes_operator.observe.observed import Observed, read_statefulset
from hermes_operator.observe.secrets import read_secrets
from hermes_operator.plan.actions import (
    Action,
    ApplyObject,
    CreateAdminToken,
    CreateCa,
    CreatePassphrase,
    DeleteObject,
    GrowClaim,
    Plan,
    RenewCertificates,
    SetFinalizers,
    WipePods,
)
from hermes_operator.plan.mesh_plan import plan_mesh
from hermes_operator.rollout.state import RolloutStep, render_rollout
from tests.unit.hermes_operator.golden_manifests import SPECS
from tests.unit.hermes_operator.operator_samples import (
    CLUSTER_DOMAIN,
    NOW,
    PASSPHRASE,
    TOKEN,
    Json,
    claim_of,
    mesh_of,
    pod_of,
    reasons,
    secrets_of,
    settled,
)

EMPTY = Observed(now=NOW, objects={})


def plan(mesh: MeshSpec, seen: Observed) -> Plan:
    made = plan_mesh(mesh, seen, CLUSTER_DOMAIN)
    assert plan_mesh(mesh, seen, CLUSTER_DOMAIN) == made
    return made


def applied(actions: tuple[Action, ...]) -> list[str]:
    return [f"{a.manifest['kind']}/{a.manifest['metadata']['name']}" for a in actions if isinstance(a, ApplyObject)]


@pytest.mark.parametrize("name", SPECS)
def test_a_mesh_that_is_as_wanted_needs_nothing(name: str) -> None:
    mesh = mesh_of(SPECS[name])
    made = plan(mesh, settled(mesh))
    assert (made.actions, made.problems, made.decision.effects, made.decision.events) == ((), (), (), ())
    assert made.decision.rollout.step is RolloutStep.IDLE
    assert made.decision.recheck_s is None


def test_secrets_come_before_everything_else() -> None:
    made = plan(mesh_of(), EMPTY)
    assert made.actions == (CreatePassphrase(), CreateAdminToken(), CreateCa())
    assert made.decision.recheck_s == 0


def test_certificates_come_after_the_ca() -> None:
    mesh = mesh_of()
    seen = replace(EMPTY, secrets=secrets_of(mesh, tls=None))
    assert plan(mesh, seen).actions == (RenewCertificates(mesh.pods),)


def test_then_all_objects_with_the_statefulset_last() -> None:
    mesh = mesh_of()
    seen = replace(EMPTY, secrets=secrets_of(mesh))
    assert applied(plan(mesh, seen).actions) == [
        "ServiceAccount/demo",
        "ConfigMap/demo-config",
        "Service/demo-nodes",
        "Service/demo",
        "PodDisruptionBudget/demo",
        "NetworkPolicy/demo",
        "StatefulSet/demo",
    ]


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        (("Service", "demo"), ("spec", "type"), "NodePort"),
        (("ConfigMap", "demo-config"), ("data", "hermes.toml"), "[node]"),
        (("StatefulSet", "demo"), ("spec", "replicas"), 9),
        (("StatefulSet", "demo"), ("spec", "updateStrategy", "rollingUpdate", "partition"), 0),
        (("PodDisruptionBudget", "demo"), ("spec", "maxUnavailable"), 3),
        (("NetworkPolicy", "demo"), ("spec", "ingress"), []),
        (("ServiceAccount", "demo"), ("automountServiceAccountToken",), True),
        (("PodMonitor", "demo"), ("spec", "podMetricsEndpoints"), []),
        (("Service", "demo-nodes"), ("metadata", "labels", names.LABEL_MESH), "other"),
    ],
)
def test_what_somebody_changed_is_put_back(key: tuple[str, str], path: tuple[str, ...], value: Any) -> None:
    mesh = mesh_of()
    seen = _edited(settled(mesh), key, path, value)
    assert applied(plan(mesh, seen).actions) == ["/".join(key)]


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        (("Service", "demo"), ("spec", "clusterIP"), "10.0.0.7"),
        (("Service", "demo"), ("metadata", "annotations", "cloud.example/lb"), "x"),
        (("StatefulSet", "demo"), ("spec", "revisionHistoryLimit"), 10),
    ],
)
def test_what_others_added_is_left_alone(key: tuple[str, str], path: tuple[str, ...], value: Any) -> None:
    mesh = mesh_of()
    assert plan(mesh, _edited(settled(mesh), key, path, value)).actions == ()


def test_a_field_that_is_no_longer_wanted_is_taken_away() -> None:
    with_annotation = mesh_of({"service": {"annotations": {"a": "b"}}})
    assert applied(plan(mesh_of(), settled(with_annotation)).actions) == ["Service/demo"]


def test_quantities_that_the_server_rewrites_are_no_drift() -> None:
    mesh = mesh_of({"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}})
    path = ("spec", "template", "spec", "containers", 0, "resources", "requests")
    same = _edited(settled(mesh), ("StatefulSet", "demo"), path, {"cpu": "1", "memory": "1Gi"})
    assert plan(mesh, same).actions == ()
    other = _edited(settled(mesh), ("StatefulSet", "demo"), path, {"cpu": "2", "memory": "1Gi"})
    assert plan(mesh, other).decision.rollout.step is RolloutStep.WAITING


def test_the_budget_goes_with_the_second_node_but_nobody_elses() -> None:
    small = mesh_of({"replicas": 1})
    seen = settled(mesh_of({"replicas": 2}))
    foreign = {("PodDisruptionBudget", "mine"): {"apiVersion": "policy/v1", "metadata": {"name": "mine"}}}
    seen = replace(seen, objects={**seen.objects, **foreign})
    assert DeleteObject("PodDisruptionBudget", "demo") in plan(small, seen).actions
    assert not any(isinstance(a, DeleteObject) and a.name == "mine" for a in plan(small, seen).actions)


def test_no_pod_monitor_where_the_cluster_has_no_such_api() -> None:
    mesh = mesh_of()
    seen = replace(EMPTY, secrets=secrets_of(mesh))
    assert "PodMonitor/demo" not in applied(plan(mesh, seen).actions)
    assert "PodMonitor/demo" in applied(plan(mesh, replace(seen, pod_monitor_api=True)).actions)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": {"image": "hermes:2"}}, "image hermes:dev → hermes:2"),
        ({"spec": {"crypto": {"window": 8}}}, "configuration changed"),
        ({"spec": {"podLabels": {"a": "b"}}}, "pod template changed"),
        ({"annotations": {names.ANNOTATION_RESTARTED: "T"}}, "restart asked for at T"),
    ],
)
def test_a_new_template_is_applied_behind_a_parked_partition(change: Json, reason: str) -> None:
    mesh = mesh_of(change.get("spec"), **({"annotations": change["annotations"]} if "annotations" in change else {}))
    seen = settled(mesh_of())
    made = plan(mesh, seen)
    assert made.decision.rollout.reason == reason
    assert reasons(made.decision.events) == ["RolloutStarted"]
    sts = next(a.manifest for a in made.actions if isinstance(a, ApplyObject) and a.manifest["kind"] == "StatefulSet")
    assert sts["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 3
    # Died after storing, before applying: told once, applied again.
    again = plan(mesh, replace(seen, status={"rollout": render_rollout(made.decision.rollout)}))
    assert again.decision.events == ()
    assert again.actions == made.actions


def test_a_passphrase_that_changed_restarts_gated() -> None:
    mesh = mesh_of()
    seen = replace(settled(mesh), secrets=secrets_of(mesh, passphrase=build_passphrase_secret(mesh, b"another")))
    assert plan(mesh, seen).decision.rollout.reason == "passphrase or admin token changed"


def test_a_secret_that_somebody_deleted_restarts_nobody() -> None:
    mesh = mesh_of()
    made = plan(mesh, replace(settled(mesh), secrets=secrets_of(mesh, passphrase=None)))
    assert made.decision.rollout.step is RolloutStep.IDLE
    assert [problem.reason for problem in made.problems] == ["PassphraseLost"]
    assert CreatePassphrase() not in made.actions


def test_volumes_without_their_passphrase_get_no_new_one() -> None:
    """A new passphrase would not open them, and its existence would hide that the old one is gone."""
    mesh = mesh_of()
    made = plan(mesh, replace(EMPTY, claims=(claim_of(mesh, 0),)))
    assert CreatePassphrase() not in made.actions
    assert [(p.reason, p.keystore) for p in made.problems] == [("PassphraseLost", True)]
    assert "keystore-demo-0" in made.problems[0].message
    assert applied(made.actions) == []


def test_a_referred_passphrase_is_never_made() -> None:
    mesh = mesh_of({"keystore": {"passphraseSecretRef": {"name": "vault", "key": "k"}}})
    for secret in (None, {"metadata": {"name": "vault"}, "data": {"other": "eA=="}}):
        made = plan(mesh, replace(EMPTY, secrets=read_secrets(mesh, secret, {})))
        assert CreatePassphrase() not in made.actions
        assert [p.reason for p in made.problems] == ["PassphraseMissing"]
        assert "Secret vault has no key 'k'" in made.problems[0].message


def test_a_passphrase_secret_without_its_key_is_not_overwritten() -> None:
    mesh, secret = mesh_of(), {"metadata": {"name": "demo-passphrase"}, "data": {"old": "eA=="}}
    made = plan(mesh, replace(EMPTY, secrets=read_secrets(mesh, secret, {})))
    assert CreatePassphrase() not in made.actions
    assert [p.reason for p in made.problems] == ["PassphraseMissing"]


@pytest.mark.parametrize(
    ("part", "body", "usable"),
    [
        ("admin", {"token": "eA=="}, True),
        ("admin", {"other": "eA=="}, False),
        ("ca", {"ca.crt": "eA=="}, False),
        ("tls", {}, False),
    ],
)
def test_a_secret_of_somebody_else_is_used_if_it_can_be_and_never_overwritten(part: str, body: Json, usable: bool) -> None:
    mesh = mesh_of()
    foreign = {"metadata": {"name": f"demo-{part}"}, "data": body}
    made = plan(mesh, replace(EMPTY, secrets=secrets_of(mesh, **{part: foreign})))
    assert [(p.reason, f"Secret demo-{part}" in p.message) for p in made.problems] == ([] if usable else [("NameTaken", True)])
    assert bool(applied(made.actions)) == usable  # without its Secrets no pod is started
    if not usable:
        assert made.actions == ()
        assert made.decision.recheck_s is None  # nothing will change by looking again at once


def test_secrets_are_in_no_repr() -> None:
    shown = repr(settled(mesh_of()))
    for value in (PASSPHRASE, TOKEN):
        assert value.decode() not in shown
        assert base64.b64encode(value).decode() not in shown
    assert "PRIVATE KEY" not in shown


def test_a_label_of_pods_that_is_no_longer_wanted_restarts_gated() -> None:
    made = plan(mesh_of(), settled(mesh_of({"podLabels": {"a": "b"}})))
    assert made.decision.rollout.reason == "pod template changed"


def test_a_changed_number_of_nodes_is_applied_before_any_restart() -> None:
    seen = settled(mesh_of())
    assert seen.statefulset is not None
    outdated = replace(seen, statefulset=replace(seen.statefulset, update_revision="rev-2"))
    assert plan(mesh_of(), outdated).decision.rollout.step is RolloutStep.WAITING
    assert plan(mesh_of({"replicas": 2}), outdated).decision.rollout.step is RolloutStep.IDLE


def test_a_damaged_ca_file_is_put_right() -> None:
    mesh = mesh_of()
    seen = settled(mesh)
    damaged = replace(seen.secrets, tls_files={**seen.secrets.tls_files, "ca.crt": b"x"})
    assert plan(mesh, replace(seen, secrets=damaged)).actions == (RenewCertificates(mesh.pods),)


def test_new_pods_get_certificates_and_old_ones_keep_theirs() -> None:
    seen = settled(mesh_of())
    grown = plan(mesh_of({"replicas": 5}), seen)
    assert RenewCertificates(("demo-3", "demo-4")) in grown.actions


def test_certificates_are_renewed_in_time_and_roll_nothing() -> None:
    mesh = mesh_of()
    seen = settled(mesh)
    assert plan(mesh, replace(seen, now=NOW + timedelta(days=59))).actions == ()
    made = plan(mesh, replace(seen, now=NOW + timedelta(days=61)))
    assert made.actions == (RenewCertificates(mesh.pods),)
    assert made.decision.rollout.step is RolloutStep.IDLE


def test_an_unsettled_statefulset_is_waited_for() -> None:
    mesh = mesh_of()
    seen = settled(mesh)
    assert seen.statefulset is not None
    made = plan(mesh, replace(seen, statefulset=replace(seen.statefulset, settled=False, update_revision="rev-9")))
    assert made.decision.rollout.step is RolloutStep.IDLE
    assert made.decision.recheck_s


def test_claims_grow_and_the_template_of_claims_stays() -> None:
    mesh = mesh_of({"keystore": {"size": "2Gi"}})
    seen = settled(mesh_of())
    made = plan(mesh, replace(seen, claims=(*seen.claims, claim_of(mesh_of(), 7))))
    assert made.growth == tuple(GrowClaim(f"keystore-demo-{n}", "2Gi") for n in range(3))
    grown = replace(seen, claims=tuple(claim_of(mesh, n, "2048Mi") for n in range(3)))
    assert plan(mesh, grown).growth == ()


def test_the_finalizer_follows_the_policy() -> None:
    keep, erase = mesh_of(), mesh_of({"keystore": {"retentionPolicy": "Delete"}})
    assert plan(erase, settled(keep, finalizers=("other",))).actions == (SetFinalizers(("other", names.FINALIZER)),)
    assert plan(keep, settled(erase, finalizers=(names.FINALIZER, "other"))).actions == (SetFinalizers(("other",)),)


def deleted(spec: Json | None = None, after_s: float = 1) -> MeshSpec:
    moment = (NOW - timedelta(seconds=after_s)).isoformat()
    return mesh_of(spec or {"keystore": {"retentionPolicy": "Delete"}}, deletionTimestamp=moment)


def test_deletion_that_retains_only_lets_go() -> None:
    mesh = deleted({"keystore": {"retentionPolicy": "Retain"}})
    made = plan(mesh, settled(mesh))
    assert (made.actions, made.released) == ((), True)
    changed_mind = plan(mesh, settled(mesh, finalizers=(names.FINALIZER, "other")))
    assert changed_mind.actions == (SetFinalizers(("other",)),)


def test_deletion_wipes_ends_deletes_and_lets_go_in_this_order() -> None:
    mesh = deleted()
    seen = settled(mesh)
    first = plan(mesh, seen)
    assert first.actions == (WipePods(seen.pods), DeleteObject("StatefulSet", "demo"))
    assert not first.released
    without_set = replace(seen, objects={k: v for k, v in seen.objects.items() if k[0] != "StatefulSet"}, statefulset=None)
    ending = plan(mesh, without_set)
    assert (ending.actions, ending.released) == ((), False)
    last = plan(mesh, replace(without_set, pods=()))
    assert last.actions == (
        *(DeleteObject("PersistentVolumeClaim", f"keystore-demo-{n}") for n in range(3)),
        DeleteObject("Secret", "demo-passphrase"),
        SetFinalizers(()),
    )
    assert last.released


def test_deletion_asks_only_nodes_that_can_answer() -> None:
    mesh = deleted()
    stuck = tuple(pod_of(name, running=False) for name in mesh.pods)
    assert plan(mesh, settled(mesh, pods=stuck)).actions == (DeleteObject("StatefulSet", "demo"),)


def test_deletion_never_deletes_a_referred_passphrase() -> None:
    mesh = deleted({"keystore": {"retentionPolicy": "Delete", "passphraseSecretRef": {"name": "vault"}}})
    seen = settled(mesh)
    gone = replace(seen, objects={}, statefulset=None, pods=(), claims=())
    assert plan(mesh, gone).actions == (SetFinalizers(()),)


def test_deletion_cannot_hang() -> None:
    """Pods that never end: after the deadline the volumes are deleted and the object is let go."""
    mesh = deleted(after_s=179)
    assert not plan(mesh, settled(mesh)).released
    late = deleted(after_s=181)
    made = plan(late, settled(late))
    assert made.released
    assert made.actions[-1] == SetFinalizers(())


def _edited(seen: Observed, key: tuple[str, str], path: tuple[Any, ...], value: Any) -> Observed:
    objects = copy.deepcopy(dict(seen.objects))
    target: Any = objects[key]
    for part in path[:-1]:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
    target[path[-1]] = value
    return replace(seen, objects=objects, statefulset=read_statefulset(objects["StatefulSet", "demo"]))
