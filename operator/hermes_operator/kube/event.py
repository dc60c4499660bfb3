"""What a person is told of a mesh."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event of the mesh."""

    reason: str
    message: str
    warning: bool = False
