"""Reading one mesh from the API server, all at once and fresh: a rollout is not decided from a cache."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec
from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube
from hermes_operator.kube.kinds import Kind
from hermes_operator.manifests.objects import object_key
from hermes_operator.observe.observed import Observed, read_pods, read_statefulset
from hermes_operator.observe.secrets import owned_secrets, read_secrets


async def observe_mesh(api: Kube, mesh: MeshSpec, body: dict[str, Any], now: datetime, *, pod_monitor_api: bool) -> Observed:
    """Everything a plan needs. Secrets are read by name: the operator has no need, and no right, to list them."""
    listed: tuple[Kind, ...] = (*kinds.OWNED, kinds.POD_MONITORS) if pod_monitor_api else kinds.OWNED
    own = owned_secrets(mesh.name)
    # The whole selector: a PodDisruptionBudget that a person made for these pods is not ours.
    selector = ",".join(f"{key}={value}" for key, value in names.object_labels(mesh.name).items())
    pods, claims, objects, secrets, passphrase = await asyncio.gather(
        api.list(kinds.PODS, mesh.namespace, f"{names.LABEL_MESH}={mesh.name}"),
        api.list(kinds.CLAIMS, mesh.namespace, f"{names.LABEL_MESH}={mesh.name}"),
        asyncio.gather(*(api.list(kind, mesh.namespace, selector) for kind in listed)),
        asyncio.gather(*(api.get(kinds.SECRETS, mesh.namespace, name) for name in own)),
        api.get(kinds.SECRETS, mesh.namespace, mesh.passphrase.name),
    )
    found = {object_key(item): item for items in objects for item in items}
    return Observed(
        now=now,
        objects=found,
        statefulset=read_statefulset(found.get(("StatefulSet", mesh.name))),
        pods=read_pods(pods, mesh.name),
        claims=tuple(claim for claim in claims if _is_keystore(claim, mesh)),
        secrets=read_secrets(mesh, passphrase, dict(zip(own, secrets, strict=True))),
        status=body.get("status") or {},
        finalizers=tuple(body["metadata"].get("finalizers") or ()),
        pod_monitor_api=pod_monitor_api,
    )


def _is_keystore(claim: dict[str, Any], mesh: MeshSpec) -> bool:
    name = claim["metadata"]["name"]
    return bool(name == names.volume_claim(names.pod_name(mesh.name, names.pod_ordinal(name))))
