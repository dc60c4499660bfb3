"""Marks as the operator holds them: base64 of what a node signed, in the status, on the claim, and handed back to the node."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from hermes_core.errors import ProtocolError
from hermes_core.ids import derive_app_id
from hermes_core.keystore.mark import Mark, parse_mark
from hermes_operator import names


def read_authentic(mark: str) -> Mark | None:
    """None unless a node signed it: whoever may write an annotation or a status could make one up."""
    try:
        return parse_mark(base64.b64decode(mark, validate=True))
    except (ProtocolError, ValueError):  # no base64, or not even ASCII
        return None


def show_mark(data: bytes, fingerprint: str) -> str:
    """The mark in a node's answer; empty unless the identity signed it that the answer names."""
    shown = base64.b64encode(data).decode()
    mark = read_authentic(shown)
    return shown if mark is not None and derive_app_id(mark.node_key) == fingerprint else ""


def is_of_another_opening(mark: str, open_id: str) -> bool:
    """Whether a node that names this opening (hex) may not have judged the mark yet."""
    held = read_authentic(mark)
    return held is not None and bool(open_id) and held.open_id.hex() != open_id


def find_on_claim(claims: tuple[Mapping[str, Any], ...], pod: str) -> str:
    """What was kept on a pod's claim, for an operator that knows nothing of the node any more; empty: nothing."""
    claim = next((claim for claim in claims if claim["metadata"]["name"] == names.volume_claim(pod)), None)
    annotations = (claim or {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_MARK, ""))
