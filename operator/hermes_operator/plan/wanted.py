"""The objects that a mesh wants, as far as they depend on what exists already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.manifests.config import build_config
from hermes_operator.manifests.objects import Manifest, canonical_hash
from hermes_operator.manifests.policies import (
    build_disruption_budget,
    build_network_policy,
    build_pod_monitor,
    build_service_account,
)
from hermes_operator.manifests.secrets import secrets_hash
from hermes_operator.manifests.services import build_client_service, build_headless_service
from hermes_operator.manifests.statefulset import build_statefulset
from hermes_operator.observe.observed import Observed


def build_objects(mesh: MeshSpec, seen: Observed, partition: int, replicas: int | None = None) -> list[Manifest]:
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
        build_wanted_statefulset(mesh, seen, partition, replicas),
    ]


def build_wanted_statefulset(mesh: MeshSpec, seen: Observed, partition: int, replicas: int | None = None) -> Manifest:
    """`replicas`: see `build_statefulset`."""
    claim_size = seen.statefulset.claim_size if seen.statefulset else None
    manifest = build_statefulset(
        mesh, partition=partition, secrets_hash=_secrets_hash(seen), claim_size=claim_size, replicas=replicas
    )
    annotations = {names.ANNOTATION_TEMPLATE: canonical_hash(manifest["spec"]["template"])}
    manifest["metadata"]["annotations"] = annotations
    return manifest


def _secrets_hash(seen: Observed) -> str:
    passphrase, token = seen.secrets.passphrase, seen.secrets.admin_token
    if passphrase is not None and token is not None:
        return secrets_hash(passphrase, token)
    # A Secret that somebody deleted must not restart the nodes that read it long ago.
    template: Mapping[str, Any] = seen.statefulset.template if seen.statefulset else {}
    annotations = template.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_SECRETS, ""))
