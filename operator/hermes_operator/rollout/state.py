"""State of a rolling restart as it stands in `status.rollout`, and the effects and events that a step asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from hermes_operator.kube.event import Event
from hermes_operator.nodes.resume_report import Witness
from hermes_operator.times import format_time, parse_time


class RolloutStep(StrEnum):
    IDLE = "Idle"  # nothing to do; the partition is parked at `replicas`
    WAITING = "Waiting"  # before the next pod: for the others to be well, or for a person to unpause
    WITNESS = "Witness"  # the pod is asked what it holds
    DRAIN = "Drain"  # the pod is told to send its apps away
    RESTART = "Restart"  # the partition is lowered; its successor is to become ready
    VERIFY = "Verify"  # the successor is asked what it resumed
    REPLACE = "Replace"  # no pod is ready and none can lose anything: all are replaced at once
    HALTED = "Halted"  # a pod failed; no other is touched until the spec changes


@dataclass(frozen=True, slots=True)
class ScaleDown:
    """`replicas`: how many nodes stay. `chats_left`: on the others, None before they were asked. `released`: those may go."""

    replicas: int
    started_at: datetime
    chats_left: int | None = None
    released: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """Everything a later operator process needs to go on."""

    step: RolloutStep = RolloutStep.IDLE
    partition: int = 0
    reason: str = ""
    target_revision: str = ""
    started_at: datetime | None = None
    step_started_at: datetime | None = None
    finished_at: datetime | None = None
    pod: str = ""
    pod_uid: str = ""
    message: str = ""
    completed: tuple[str, ...] = ()
    witness: Witness | None = None
    chats_left: int | None = None
    """Chats that the pod, which drains, still has to move; None before it was asked."""
    scale_down: ScaleDown | None = None

    @property
    def active(self) -> bool:
        return self.step not in {RolloutStep.IDLE, RolloutStep.HALTED}


@dataclass(frozen=True, slots=True)
class TakeWitness:
    pod: str


@dataclass(frozen=True, slots=True)
class DrainPod:
    """`move`: its chats move first; else they wait for it."""

    pod: str
    move: bool = False


@dataclass(frozen=True, slots=True)
class MoveAway:
    """These leave for good."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckResume:
    pod: str
    witness: Witness | None


@dataclass(frozen=True, slots=True)
class DeletePod:
    pod: str
    uid: str


Effect = TakeWitness | DrainPod | CheckResume | DeletePod | MoveAway


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of the machine: `effects` run after `rollout` is stored; `outcome` is completed, halted, superseded or empty."""

    rollout: Rollout
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    recheck_s: float | None = None
    outcome: str = ""


def parse_rollout(status: Mapping[str, Any], replicas: int) -> Rollout:
    """Read `status.rollout`; absent means idle, parked at `replicas`."""
    state = status.get("rollout") or {}
    return Rollout(
        step=RolloutStep(state.get("step", RolloutStep.IDLE)),
        partition=state.get("partition", replicas),
        reason=state.get("reason", ""),
        target_revision=state.get("targetRevision", ""),
        started_at=parse_time(state.get("startedAt")),
        step_started_at=parse_time(state.get("stepStartedAt")),
        finished_at=parse_time(state.get("finishedAt")),
        pod=state.get("pod", ""),
        pod_uid=state.get("podUid", ""),
        message=state.get("message", ""),
        completed=tuple(state.get("completed") or ()),
        witness=_parse_witness(state["witness"]) if state.get("witness") else None,
        chats_left=state.get("chatsLeft"),
        scale_down=_parse_scale_down(state["scaleDown"]) if state.get("scaleDown") else None,
    )


def render_rollout(rollout: Rollout) -> dict[str, Any]:
    """The content of `status.rollout`; what is empty is left out."""
    state: dict[str, Any] = {
        "step": rollout.step.value,
        "partition": rollout.partition,
        "reason": rollout.reason,
        "targetRevision": rollout.target_revision,
        "startedAt": format_time(rollout.started_at) if rollout.started_at else "",
        "stepStartedAt": format_time(rollout.step_started_at) if rollout.step_started_at else "",
        "finishedAt": format_time(rollout.finished_at) if rollout.finished_at else "",
        "pod": rollout.pod,
        "podUid": rollout.pod_uid,
        "message": rollout.message,
        "completed": list(rollout.completed),
        "witness": _render_witness(rollout.witness) if rollout.witness else {},
        "chatsLeft": "" if rollout.chats_left is None else rollout.chats_left,
        "scaleDown": _render_scale_down(rollout.scale_down) if rollout.scale_down else {},
    }
    return {key: value for key, value in state.items() if value not in ("", [], {})}


def _parse_scale_down(state: Mapping[str, Any]) -> ScaleDown | None:
    started_at = parse_time(state.get("startedAt"))
    if started_at is None:
        return None
    return ScaleDown(state.get("replicas", 0), started_at, state.get("chatsLeft"), bool(state.get("released", False)))


def _render_scale_down(down: ScaleDown) -> dict[str, Any]:
    return {
        "replicas": down.replicas,
        "startedAt": format_time(down.started_at),
        "released": down.released,
        **({} if down.chats_left is None else {"chatsLeft": down.chats_left}),
    }


def _parse_witness(state: Mapping[str, Any]) -> Witness:
    return Witness(
        node_id=state.get("nodeId", ""),
        identity_fingerprint=state.get("identityFingerprint", ""),
        generation=state.get("keystoreGeneration", 0),
        commit_counter=state.get("keystoreCommitCounter", 0),
        live_chats=state.get("liveChats", 0),
        witness_id=state.get("witnessId", ""),
        digest=state.get("digest", ""),
        mark=state.get("mark", ""),
    )


def _render_witness(witness: Witness) -> dict[str, Any]:
    return {
        "nodeId": witness.node_id,
        "identityFingerprint": witness.identity_fingerprint,
        "keystoreGeneration": witness.generation,
        "keystoreCommitCounter": witness.commit_counter,
        "liveChats": witness.live_chats,
        "witnessId": witness.witness_id,
        "digest": witness.digest,
        **({"mark": witness.mark} if witness.mark else {}),
    }
