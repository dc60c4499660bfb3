"""Meshes and observations that the operator's tests start from."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_operator import names
from hermes_operator.certificates.authority import build_ca
from hermes_operator.certificates.renewal import renew_certificates
from hermes_operator.crd_spec import MeshSpec, parse_mesh
from hermes_operator.manifests.objects import object_key, stamp_applied
from hermes_operator.manifests.secrets import (
    build_admin_secret,
    build_ca_secret,
    build_passphrase_secret,
    build_tls_secret,
)
from hermes_operator.nodes.resume_report import ResumeReport, Witness
from hermes_operator.observe.observed import Observed, PodView, StatefulSetView, read_statefulset
from hermes_operator.observe.secrets import MeshSecrets, read_secrets
from hermes_operator.plan.wanted import build_objects

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
UID = "0b1ad000-0000-4000-8000-000000000001"
CLUSTER_DOMAIN = "cluster.local"
PASSPHRASE, TOKEN = b"correct horse battery staple", b"admin-token"

Json = dict[str, Any]


def mesh_body(spec: Json | None = None, **metadata: Any) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "demo", "namespace": "chat", "uid": UID, "generation": 1, **metadata},
        "spec": spec or {},
    }


def mesh_of(spec: Json | None = None, **metadata: Any) -> MeshSpec:
    return parse_mesh(mesh_body(spec, **metadata))


def secret_bodies(mesh: MeshSpec, now: datetime = NOW) -> dict[str, Json]:
    """The Secrets a mesh has once its first passes are done, by name."""
    ca = build_ca(mesh, now)
    made = (
        build_passphrase_secret(mesh, PASSPHRASE) if mesh.keystore.passphrase_secret_ref is None else _referred(mesh),
        build_admin_secret(mesh, TOKEN),
        build_ca_secret(mesh, ca.certificate, ca.key),
        build_tls_secret(mesh, renew_certificates(mesh, {}, ca, now, CLUSTER_DOMAIN)),
    )
    return {secret["metadata"]["name"]: secret for secret in made}


def secrets_of(mesh: MeshSpec, **bodies: Json | None) -> MeshSecrets:
    """As a pass reads them; `bodies` replaces some by the part of their name after the mesh's, None takes one away."""
    found = secret_bodies(mesh)
    for part, body in bodies.items():
        name = mesh.passphrase.name if part == "passphrase" else f"{mesh.name}-{part}"
        found.pop(name, None)
        if body is not None:
            found[name] = body
    return read_secrets(mesh, found.pop(mesh.passphrase.name, None), found)


def claim_of(mesh: MeshSpec, ordinal: int, size: str | None = None) -> Json:
    name = names.volume_claim(names.pod_name(mesh.name, ordinal))
    spec = {"resources": {"requests": {"storage": size or mesh.keystore.size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def settled(mesh: MeshSpec, **changes: Any) -> Observed:
    """A cluster in which everything of this mesh is as wanted and at rest."""
    objects: dict[tuple[str, str], Json] = {}
    seen = Observed(now=NOW, objects=objects, secrets=secrets_of(mesh), pod_monitor_api=True)
    for manifest in build_objects(mesh, seen, mesh.replicas):
        objects[object_key(manifest)] = copy.deepcopy(stamp_applied(manifest))
    body = objects["StatefulSet", mesh.name]
    body["metadata"]["generation"] = 1
    body["status"] = {"observedGeneration": 1, "currentRevision": "rev-1", "updateRevision": "rev-1"}
    seen = replace(
        seen,
        statefulset=read_statefulset(body),
        pods=tuple(pod_of(name, "rev-1") for name in mesh.pods),
        claims=tuple(claim_of(mesh, ordinal) for ordinal in range(mesh.replicas)),
        finalizers=(names.FINALIZER,) if mesh.keystore.retention_policy == "Delete" else (),
    )
    return replace(seen, **changes)


def _referred(mesh: MeshSpec) -> Json:
    where = mesh.passphrase
    data = {where.key: base64.b64encode(PASSPHRASE).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": where.name}, "data": data}


def pod_of(name: str, revision: str = "rev-1", **changes: Any) -> PodView:
    values: Json = {
        "uid": f"{name}@{revision}",
        "ready": True,
        "running": True,
        "ip": f"10.0.0.{names.pod_ordinal(name) + 1}",
    }
    return PodView(name=name, revision=revision, **(values | changes))


def statefulset_of(**changes: Any) -> StatefulSetView:
    values: Json = {
        "replicas": 3,
        "partition": 3,
        "current_revision": "rev-1",
        "update_revision": "rev-2",
        "settled": True,
        "template": {},
        "claim_size": "1Gi",
    }
    return StatefulSetView(**(values | changes))


def witness_of(pod: str = "demo-2", **changes: Any) -> Witness:
    values: Json = {
        "node_id": pod,
        "identity_fingerprint": f"fp-{pod}",
        "generation": 4,
        "commit_counter": 100,
        "live_chats": 7,
        "witness_id": "aa",
        "digest": "bb",
    }
    return Witness(**(values | changes))


def report_of(pod: str = "demo-2", **changes: Any) -> ResumeReport:
    values: Json = {
        "identity_fingerprint": f"fp-{pod}",
        "generation": 4,
        "commit_counter": 101,
        "live_chats": 7,
        "resumed": 7,
        "verdict": ResumeVerdict.RESUMED,
    }
    return ResumeReport(**(values | changes))


def by_type(status: Mapping[str, Any]) -> dict[str, Json]:
    return {condition["type"]: condition for condition in status["conditions"]}


def reasons(events: Iterable[Any]) -> list[str]:
    return [event.reason for event in events]
