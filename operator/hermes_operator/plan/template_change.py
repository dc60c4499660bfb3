"""Whether the pods must be restarted, and why: the wanted pod template against the one that was applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes_operator import names
from hermes_operator.manifests.objects import Manifest
from hermes_operator.plan.drift import contains


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
