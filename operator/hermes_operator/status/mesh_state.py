"""A mesh as a pass knows it at one moment: what its status is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hermes_operator.crd_spec import MeshSpec
from hermes_operator.nodes.members import MemberRecord
from hermes_operator.nodes.resume_check import ResumeCheck
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.plan.actions import Problem
from hermes_operator.rollout.state import Rollout, RolloutStep


@dataclass(frozen=True, slots=True)
class MeshState:
    """What was seen, and what was decided and learnt since. `last_check`: of this pass, None when there was none."""

    mesh: MeshSpec
    seen: Observed
    rollout: Rollout
    members: Mapping[str, MemberRecord]
    problems: tuple[Problem, ...] = ()
    last_check: ResumeCheck | None = None

    @property
    def pods(self) -> tuple[PodView, ...]:
        """Those that are wanted."""
        return tuple(pod for pod in self.seen.pods if pod.ordinal < self.mesh.replicas)

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    @property
    def target_revision(self) -> str:
        return self.seen.statefulset.update_revision if self.seen.statefulset else ""

    @property
    def updated(self) -> int:
        return sum(pod.revision == self.target_revision for pod in self.pods)

    @property
    def complete(self) -> bool:
        """Every wanted node is ready, at the wanted revision, and proven."""
        settled = self.seen.statefulset is not None and self.seen.statefulset.settled
        everyone = self.ready == self.mesh.replicas == self.updated
        return settled and everyone and self.rollout.step is RolloutStep.IDLE

    @property
    def paused(self) -> bool:
        """A rollout waits for a person."""
        return self.mesh.rollout.paused and self.rollout.step is RolloutStep.WAITING
