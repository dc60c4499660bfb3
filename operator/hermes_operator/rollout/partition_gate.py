"""The gate of a rollout: the StatefulSet's partition, and who may pass it when.

A pod below the partition comes back with the old template, whoever ended it. The gate lives in the API server, so that it
holds while no operator runs.
"""

from __future__ import annotations

from datetime import datetime

from hermes_operator import names
from hermes_operator.observe.observed import PodView
from hermes_operator.rollout.rollout_input import RolloutInput
from hermes_operator.rollout.state import Rollout

# Every pod gets the new template as soon as it restarts.
OPEN = 0


def parked(replicas: int) -> int:
    """Above all pods, as at rest: not even `kubectl rollout restart` moves one."""
    return replicas


def opened_for(pod: str) -> int:
    """Down to this pod; the StatefulSet's controller restarts it, and none below."""
    return names.pod_ordinal(pod)


def kept_within(partition: int, replicas: int) -> int:
    """Where a gate stands in a StatefulSet that may have shrunk."""
    return min(partition, replicas)


def find_hold(rollout: Rollout, pod: PodView, seen: RolloutInput, now: datetime) -> str:
    """Why the gate may not open for `pod` yet; empty when it may: one pod is away at a time."""
    # An old pod that cannot become ready holds up nothing: the new template may be its cure.
    hopeless = {old.name for old in seen.outdated() if old.failed or seen.overdue(rollout, now)}
    others = (other for other in seen.members() if other.name != pod.name)
    down = [other.name for other in others if not other.ready and other.name not in hopeless] + seen.missing()
    if down:
        return f"waiting for {', '.join(sorted(down))} to be ready before {pod.name} is restarted"
    return f"waiting for {pod.name} to end" if pod.terminating else ""
