"""Desired and observed in, actions out. Pure: the same arguments give the same plan; one carried out leaves nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hermes_operator import names
from hermes_operator.certificates.issuing import KeyPair, ca_is_good, certificate_is_good
from hermes_operator.durations import parse_quantity
from hermes_operator.manifests.config import build_config
from hermes_operator.manifests.objects import Manifest, canonical_hash, stamp_applied
from hermes_operator.manifests.policies import (
    build_disruption_budget,
    build_network_policy,
    build_pod_monitor,
    build_service_account,
)
from hermes_operator.manifests.secrets import decode_secret, secrets_hash
from hermes_operator.manifests.services import build_client_service, build_headless_service
from hermes_operator.manifests.statefulset import build_statefulset
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import (
    Action,
    ApplyObject,
    CreateAdminToken,
    CreateCa,
    CreatePassphrase,
    DeleteObject,
    GrowClaim,
    Plan,
    Problem,
    RenewCertificates,
    SetFinalizers,
)
from hermes_operator.plan.deletion import plan_deletion
from hermes_operator.plan.drift import contains, needs_apply
from hermes_operator.rollout.machine import POLL_S, RolloutInput, begin_rollout, plan_rollout
from hermes_operator.rollout.state import Decision, Rollout, Step, parse_rollout
from hermes_operator.spec import MeshSpec


def plan_mesh(mesh: MeshSpec, seen: Observed, cluster_domain: str) -> Plan:
    """The whole plan of one pass."""
    if mesh.deleted_at is not None:
        return plan_deletion(mesh, seen)
    actions: list[Action] = _plan_finalizer(mesh, seen)
    rollout = parse_rollout(seen.status, mesh.replicas)
    made, problems = _plan_secrets(mesh, seen, cluster_domain)
    actions += made
    if seen.statefulset is None and (made or problems):
        # Pods would only crash without their Secrets; the next pass finds them.
        return Plan(Decision(rollout, recheck_s=None if problems else 0), tuple(actions), problems)
    decision = _plan_rollout(mesh, seen, rollout)
    wanted = [stamp_applied(manifest) for manifest in build_objects(mesh, seen, decision.rollout.partition)]
    actions += [ApplyObject(manifest) for manifest in wanted if needs_apply(manifest, seen.objects.get(object_key(manifest)))]
    actions += _plan_prune(mesh, seen, wanted)
    actions += _plan_growth(mesh, seen)
    return Plan(decision, tuple(actions), problems)


def object_key(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name, which tell an object of one mesh from all others of it."""
    return manifest["kind"], manifest["metadata"]["name"]


def build_objects(mesh: MeshSpec, seen: Observed, partition: int) -> list[Manifest]:
    """Every object but the Secrets, in the order in which they are applied: what pods need comes first."""
    optional: Iterable[Manifest | None] = (
        build_disruption_budget(mesh),
        build_network_policy(mesh),
        build_pod_monitor(mesh) if seen.pod_monitor_api else None,
    )
    return [
        build_service_account(mesh),
        build_config(mesh),
        build_headless_service(mesh),
        build_client_service(mesh),
        *(manifest for manifest in optional if manifest is not None),
        build_wanted_statefulset(mesh, seen, partition),
    ]


def build_wanted_statefulset(mesh: MeshSpec, seen: Observed, partition: int) -> Manifest:
    claim_size = seen.statefulset.claim_size if seen.statefulset else None
    manifest = build_statefulset(mesh, partition=partition, secrets_hash=_secrets_hash(mesh, seen), claim_size=claim_size)
    annotations = {names.ANNOTATION_TEMPLATE: canonical_hash(manifest["spec"]["template"])}
    manifest["metadata"]["annotations"] = annotations
    return manifest


def _secrets_hash(mesh: MeshSpec, seen: Observed) -> str:
    passphrase = decode_secret(dict(seen.passphrase_secret or {}), mesh.passphrase.key)
    token = decode_secret(_secret(seen, names.admin_secret(mesh.name)), names.TOKEN_KEY)
    if passphrase is not None and token is not None:
        return secrets_hash(passphrase, token)
    # A Secret that somebody deleted must not restart the nodes that read it long ago.
    template: Mapping[str, Any] = seen.statefulset.template if seen.statefulset else {}
    annotations = template.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_SECRETS, ""))


def _secret(seen: Observed, name: str) -> Manifest | None:
    found = seen.objects.get(("Secret", name))
    return dict(found) if found is not None else None


def _plan_finalizer(mesh: MeshSpec, seen: Observed) -> list[Action]:
    wanted = mesh.keystore.retention_policy == "Delete"
    if wanted == (names.FINALIZER in seen.finalizers):
        return []
    others = tuple(name for name in seen.finalizers if name != names.FINALIZER)
    return [SetFinalizers((*others, names.FINALIZER) if wanted else others)]


def _plan_secrets(mesh: MeshSpec, seen: Observed, cluster_domain: str) -> tuple[list[Action], tuple[Problem, ...]]:
    actions: list[Action] = []
    problems: list[Problem] = []
    if decode_secret(dict(seen.passphrase_secret or {}), mesh.passphrase.key) is None:
        problem = _passphrase_problem(mesh, seen)
        if problem is None:
            actions.append(CreatePassphrase())
        else:
            problems.append(problem)
    if decode_secret(_secret(seen, names.admin_secret(mesh.name)), names.TOKEN_KEY) is None:
        actions.append(CreateAdminToken())
    ca = read_ca(mesh, seen)
    if ca is None or not ca_is_good(ca, seen.now):
        actions.append(CreateCa())
    else:
        stale = stale_certificates(mesh, seen, ca, cluster_domain)
        if stale:
            actions.append(RenewCertificates(stale))
    return actions, tuple(problems)


def _passphrase_problem(mesh: MeshSpec, seen: Observed) -> Problem | None:
    where = mesh.passphrase
    if mesh.keystore.passphrase_secret_ref is not None or seen.passphrase_secret is not None:
        message = f"Secret {where.name} has no key {where.key!r}: create it in namespace {mesh.namespace}"
        return Problem("PassphraseMissing", message, keystore=True)
    if seen.claims:
        message = (
            f"volumes of an earlier mesh exist, but Secret {where.name}, whose passphrase opens them, is gone: "
            f"restore the Secret, or delete the claims {', '.join(claim['metadata']['name'] for claim in seen.claims)}"
        )
        return Problem("PassphraseLost", message, keystore=True)
    return None


def read_ca(mesh: MeshSpec, seen: Observed) -> KeyPair | None:
    secret = _secret(seen, names.ca_secret(mesh.name))
    certificate, key = decode_secret(secret, names.CA_CERT_KEY), decode_secret(secret, names.CA_KEY_KEY)
    return KeyPair(certificate, key) if certificate is not None and key is not None else None


def read_tls_files(mesh: MeshSpec, seen: Observed) -> dict[str, bytes]:
    secret = _secret(seen, names.tls_secret(mesh.name))
    values = {name: decode_secret(secret, name) for name in (secret or {}).get("data") or {}}
    return {name: value for name, value in values.items() if value is not None}


def stale_certificates(mesh: MeshSpec, seen: Observed, ca: KeyPair, cluster_domain: str) -> tuple[str, ...]:
    """Pods that need a certificate; all of them when the CA in the Secret is not this one."""
    files = read_tls_files(mesh, seen)
    if files.get(names.CA_CERT_KEY) != ca.certificate:
        return mesh.pods
    pairs = {pod: KeyPair(files.get(f"{pod}.crt", b""), files.get(f"{pod}.key", b"")) for pod in mesh.pods}
    return tuple(pod for pod, pair in pairs.items() if not certificate_is_good(mesh, pod, pair, ca, seen.now, cluster_domain))


def _plan_rollout(mesh: MeshSpec, seen: Observed, rollout: Rollout) -> Decision:
    current = seen.statefulset
    if current is None:
        return Decision(Rollout(partition=mesh.replicas))
    wanted = build_wanted_statefulset(mesh, seen, mesh.replicas)
    change = describe_change(current.template, wanted, seen.objects.get(object_key(wanted)))
    if change:
        if rollout.step is Step.WAITING and not rollout.target_revision and rollout.reason == change:
            return Decision(rollout, recheck_s=POLL_S)  # stored, but not applied yet
        return begin_rollout(rollout, mesh.replicas, change, seen.now)
    if not current.settled or current.replicas != mesh.replicas:
        return Decision(rollout, recheck_s=POLL_S)
    settings = RolloutInput(current, seen.pods, mesh.rollout.paused, mesh.rollout.max_wait_s)
    return plan_rollout(rollout, settings, seen.now)


def describe_change(template: Mapping[str, Any], wanted: Manifest, observed: Mapping[str, Any] | None) -> str:
    """Why the pods must be restarted; empty when their template is the wanted one."""
    target = wanted["spec"]["template"]
    annotations = ((observed or {}).get("metadata") or {}).get("annotations") or {}
    same_content = annotations.get(names.ANNOTATION_TEMPLATE) == wanted["metadata"]["annotations"][names.ANNOTATION_TEMPLATE]
    if same_content and contains(template, target):
        return ""
    reasons: list[str] = []
    old_image, new_image = _image(template), _image(target)
    if old_image != new_image:
        reasons.append(f"image {old_image} → {new_image}")
    old, new = (t.get("metadata", {}).get("annotations") or {} for t in (template, target))
    for annotation, text in (
        (names.ANNOTATION_RESTARTED, f"restart asked for at {new.get(names.ANNOTATION_RESTARTED, 'no time')}"),
        (names.ANNOTATION_CONFIG, "configuration changed"),
        (names.ANNOTATION_SECRETS, "passphrase or admin token changed"),
    ):
        if old.get(annotation) != new.get(annotation):
            reasons.append(text)
    return ", ".join(reasons) or "pod template changed"


def _image(template: Mapping[str, Any]) -> str:
    containers = template.get("spec", {}).get("containers") or [{}]
    return next((str(c.get("image", "")) for c in containers if c.get("name") == names.CONTAINER), "")


def _plan_prune(mesh: MeshSpec, seen: Observed, wanted: list[Manifest]) -> list[Action]:
    """Objects that this mesh owns and no longer wants, such as the budget of a mesh that shrank to one node."""
    keep = {object_key(manifest) for manifest in wanted}
    keep |= {("Secret", name(mesh.name)) for name in (names.admin_secret, names.ca_secret, names.tls_secret)}
    return [
        DeleteObject(body["apiVersion"], *key) for key, body in seen.objects.items() if key not in keep and is_owned(body, mesh)
    ]


def is_owned(body: Mapping[str, Any], mesh: MeshSpec) -> bool:
    return any(owner.get("uid") == mesh.uid for owner in body["metadata"].get("ownerReferences") or [])


def _plan_growth(mesh: MeshSpec, seen: Observed) -> list[Action]:
    wanted = parse_quantity(mesh.keystore.size)
    return [
        GrowClaim(claim["metadata"]["name"], mesh.keystore.size)
        for claim in seen.claims
        if names.pod_ordinal(claim["metadata"]["name"]) < mesh.replicas
        and parse_quantity(claim["spec"]["resources"]["requests"]["storage"]) < wanted
    ]
