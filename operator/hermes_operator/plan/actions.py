"""What a plan is made of: actions to carry out, problems for a person, and the rollout's decision."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_operator.manifests.objects import Manifest
from hermes_operator.observe.observed import PodView
from hermes_operator.rollout.state import Decision


@dataclass(frozen=True, slots=True)
class ApplyObject:
    """Server-side apply of one stamped manifest."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class CreatePassphrase:
    """Made once, never overwritten."""


@dataclass(frozen=True, slots=True)
class CreateAdminToken:
    pass


@dataclass(frozen=True, slots=True)
class CreateCa:
    pass


@dataclass(frozen=True, slots=True)
class RenewCertificates:
    """`pods`: whose certificate is missing, foreign or about to expire."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteObject:
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class GrowClaim:
    """Not among the actions: it depends on no rollout, and whether it is allowed shows only when it is tried."""

    name: str
    size: str


@dataclass(frozen=True, slots=True)
class SetFinalizers:
    finalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WipePods:
    """Ask these nodes to erase their keystores, before anything else of a deletion."""

    pods: tuple[PodView, ...]


Action = (
    ApplyObject | CreatePassphrase | CreateAdminToken | CreateCa | RenewCertificates | DeleteObject | SetFinalizers | WipePods
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What only the operator can see and a person must cure; becomes conditions."""

    reason: str
    message: str
    keystore: bool = False


def name_taken(kind: str, name: str) -> Problem:
    """An object that somebody else made stands where one of this mesh must; it is not taken over."""
    return Problem("NameTaken", f"{kind} {name} exists and does not belong to this mesh: delete it, or rename the mesh")


@dataclass(frozen=True, slots=True)
class Plan:
    """`actions` in order, after `decision.rollout` is stored in the status, before its effects."""

    decision: Decision
    actions: tuple[Action, ...] = ()
    problems: tuple[Problem, ...] = ()
    growth: tuple[GrowClaim, ...] = ()
    released: bool = False  # nothing is left to do: the object may go
