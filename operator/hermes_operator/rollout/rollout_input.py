"""What the rollout decides from: the StatefulSet, its pods, and what the spec allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hermes_operator.observe.observed import PodView, StatefulSetView
from hermes_operator.rollout.state import Rollout


@dataclass(frozen=True, slots=True)
class RolloutInput:
    """`statefulset` must be settled."""

    statefulset: StatefulSetView
    pods: tuple[PodView, ...]
    paused: bool
    max_wait_s: float
    move: bool = False
    """Chats move away from a node before it restarts."""

    @property
    def replicas(self) -> int:
        return self.statefulset.replicas

    def members(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.pods if pod.ordinal < self.replicas)

    def pod(self, name: str) -> PodView | None:
        return next((pod for pod in self.members() if pod.name == name), None)

    def outdated(self) -> tuple[PodView, ...]:
        return tuple(pod for pod in self.members() if pod.revision != self.statefulset.update_revision)

    def missing(self) -> list[str]:
        """Pods the StatefulSet wants and the cluster has not."""
        present = {pod.ordinal for pod in self.members()}
        return [f"ordinal {ordinal}" for ordinal in range(self.replicas) if ordinal not in present]

    def nothing_to_lose(self) -> bool:
        """No pod is of any use as it is."""
        members = self.members()
        return bool(members) and all(pod.failed or pod.terminating for pod in members)

    def overdue(self, rollout: Rollout, now: datetime) -> bool:
        """The step has taken longer than the spec waits."""
        started = rollout.step_started_at or now
        return (now - started).total_seconds() > self.max_wait_s
