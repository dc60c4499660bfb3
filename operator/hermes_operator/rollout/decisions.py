"""The decisions that a rollout step can come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hermes_operator.kube.event import Event
from hermes_operator.rollout import partition_gate
from hermes_operator.rollout.state import Decision, Rollout, RolloutStep

POLL_S = 2.0


def enter_step(rollout: Rollout, step: RolloutStep, now: datetime, **changes: object) -> Rollout:
    return replace(rollout, step=step, step_started_at=now, message="", chats_left=None, **changes)  # type: ignore[arg-type]


def wait(rollout: Rollout, message: str, recheck_s: float | None = POLL_S) -> Decision:
    """Stay; `message` says for what."""
    return Decision(replace(rollout, message=message), recheck_s=recheck_s)


def halt(rollout: Rollout, now: datetime, why: str) -> Decision:
    """No further pod is touched."""
    halted = replace(enter_step(rollout, RolloutStep.HALTED, now), message=why)
    event = Event("RolloutHalted", f"{why}. No other node is restarted until the spec changes", warning=True)
    return Decision(halted, events=(event,), outcome="halted")


def restart_pod(rollout: Rollout, now: datetime, note: str) -> Decision:
    """Open the gate for the rollout's pod."""
    message = f"Restarting {rollout.pod}: {rollout.reason}" + (f" ({note})" if note else "")
    opened = enter_step(rollout, RolloutStep.RESTART, now, partition=partition_gate.opened_for(rollout.pod))
    return Decision(opened, events=(Event("PodRestarting", message),), recheck_s=0)
