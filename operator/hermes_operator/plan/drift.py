"""Whether an object in the cluster is still what was applied: every field that is wanted is there, with its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hermes_operator import names
from hermes_operator.durations import parse_quantity

# Below these the API server rewrites values: 1000m comes back as 1.
_QUANTITY_PARENTS = frozenset({"limits", "requests"})


def needs_apply(wanted: Mapping[str, Any], observed: Mapping[str, Any] | None) -> bool:
    """Whether to apply a stamped manifest: the object is missing, was applied from other content, or a wanted field differs.

    Fields that others added are theirs; a field that is no longer wanted changes the stamp.
    """
    if observed is None:
        return True
    annotations = observed["metadata"].get("annotations") or {}
    if annotations.get(names.ANNOTATION_APPLIED) != wanted["metadata"]["annotations"][names.ANNOTATION_APPLIED]:
        return True
    return not contains(observed, wanted)


def contains(observed: Any, wanted: Any, key: str = "") -> bool:
    """Whether `observed` has all of `wanted`. Lists match item by item: the API server keeps their order."""
    if isinstance(wanted, Mapping):
        if not isinstance(observed, Mapping):
            # An empty map and its absence are the same to the API server.
            return not wanted and observed is None
        below = key if key in _QUANTITY_PARENTS else ""
        return all(contains(observed.get(name), value, below or name) for name, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(observed, Sequence) or isinstance(observed, str):
            return not wanted and observed is None
        return len(observed) == len(wanted) and all(contains(a, b, key) for a, b in zip(observed, wanted, strict=True))
    if observed == wanted or (wanted == "" and observed is None):
        return True
    return key in _QUANTITY_PARENTS and _same_quantity(observed, wanted)


def _same_quantity(observed: Any, wanted: Any) -> bool:
    try:
        return parse_quantity(observed) == parse_quantity(wanted)
    except ValueError:
        return False
