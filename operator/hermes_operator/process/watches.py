"""kopf: watches meshes and what belongs to them, and wakes the mesh's worker. Handlers write nothing: kopf stores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from hermes_operator import names
from hermes_operator.process.worker import Workers

# Kinds whose changes are told at once; the others are looked at with every resync.
WATCHED = (("", "v1", "pods"), ("apps", "v1", "statefulsets"), ("", "v1", "services"), ("", "v1", "configmaps"))


def build_registry(workers: Workers) -> kopf.OperatorRegistry:
    """The handlers. Deletion is no handler either: kopf would forget one that was under way when the operator restarted."""
    registry = kopf.OperatorRegistry()
    seen: dict[str, tuple[Any, ...]] = {}

    async def on_mesh(event: Mapping[str, Any], **_: Any) -> None:
        body = event["object"]
        uid, trigger = body["metadata"].get("uid", ""), _trigger(body)
        if event["type"] == "DELETED":
            seen.pop(uid, None)
        elif seen.get(uid) == trigger:
            return  # the worker's own write of the status
        else:
            seen[uid] = trigger
        workers.wake(body["metadata"]["namespace"], body["metadata"]["name"])

    async def on_member(event: Mapping[str, Any], **_: Any) -> None:
        metadata = event["object"]["metadata"]
        mesh = (metadata.get("labels") or {}).get(names.LABEL_MESH)
        if mesh:
            workers.wake(metadata["namespace"], mesh)

    kopf.on.login(registry=registry)(kopf.login_via_client)
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(on_mesh)
    for group, version, plural in WATCHED:
        kopf.on.event(group, version, plural, registry=registry)(on_member)
    return registry


def build_settings(*, cluster_wide: bool) -> kopf.OperatorSettings:
    """Timeouts on everything; only objects of a mesh are watched; no progress and no last-handled state is stored."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 270
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    for _, _, plural in WATCHED:
        settings.watching.label_selectors[plural] = names.LABEL_MESH
    settings.posting.enabled = False
    settings.queueing.exit_timeout = 0.5
    settings.persistence.finalizer = f"{names.GROUP}/unused"
    # A namespaced operator may not look at the cluster's definitions and namespaces.
    settings.scanning.disabled = not cluster_wide
    settings.process.ultimate_exiting_timeout = 15
    return settings


def _trigger(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of a mesh makes a pass worthwhile: all but its status."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        metadata.get("generation"),
        annotations.get(names.ANNOTATION_RESTARTED),
        metadata.get("deletionTimestamp"),
        tuple(metadata.get("finalizers") or ()),
    )
