"""What every manifest of a mesh has in common: metadata, owner, and the hash of what was applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec

Manifest = dict[str, Any]


def build_metadata(mesh: MeshSpec, name: str, *, owned: bool = True, annotations: Mapping[str, str] | None = None) -> Manifest:
    """Metadata of an object of this mesh; an owned one goes when the mesh goes."""
    metadata: Manifest = {"name": name, "namespace": mesh.namespace, "labels": names.object_labels(mesh.name)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owned:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": mesh.name,
                "uid": mesh.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return metadata


def object_key(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name, which tell an object of one mesh from all others of it."""
    return manifest["kind"], manifest["metadata"]["name"]


def canonical_hash(value: Any) -> str:
    """16 hex digits that name a JSON value; equal values have equal hashes, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamp_applied(manifest: Manifest) -> Manifest:
    """The manifest with an annotation that names its content, so that a field that is no longer wanted is noticed."""
    annotations = dict(manifest["metadata"].get("annotations", {}))
    annotations[names.ANNOTATION_APPLIED] = canonical_hash(manifest)
    return manifest | {"metadata": manifest["metadata"] | {"annotations": annotations}}
