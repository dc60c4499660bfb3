"""What follows from a node's answers to the effects of a rollout step; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from hermes_core.keystore.witness_verdict import ResumeJudgement
from hermes_operator.kube.event import Event
from hermes_operator.nodes.departure import Leftover
from hermes_operator.nodes.resume_report import Witness
from hermes_operator.rollout.decisions import enter_step, halt, restart_pod, wait
from hermes_operator.rollout.state import Decision, Rollout, RolloutStep

MOVE_WAIT_S: Final = 120.0
"""A node whose apps do not take their chats to others is restarted all the same."""


def record_witness(rollout: Rollout, witness: Witness | None, problem: str, *, ready: bool, now: datetime) -> Decision:
    """The node answered TakeWitness, or could not (`problem`). One that is not ready holds up nothing."""
    if witness is not None:
        message = (
            f"{rollout.pod} holds {witness.live_chats} live chats; keystore generation {witness.generation}, "
            f"commit counter {witness.commit_counter}"
        )
        taken = enter_step(rollout, RolloutStep.DRAIN, now, witness=witness)
        return Decision(taken, events=(Event("WitnessTaken", message),), recheck_s=0)
    if not ready:
        return restart_pod(rollout, now, f"no witness: {problem}")
    return wait(rollout, f"no witness of {rollout.pod} yet: {problem}")


def record_drain(rollout: Rollout, left: Leftover | None, problem: str, *, move: bool, now: datetime) -> Decision:
    """The node drains, or could not be told to (`problem`): it does so on SIGTERM as well.

    When its chats move, it is restarted once nothing more moves: none is left, or those of apps that are away are.
    """
    if left is None or not move:
        return restart_pod(rollout, now, problem and f"drain: {problem}")
    settled = left.live_chats == 0 or (left.sessions == 0 and left.live_chats == rollout.chats_left)
    waited_s = (now - (rollout.step_started_at or now)).total_seconds()
    if not settled and waited_s <= MOVE_WAIT_S:
        message = f"{rollout.pod} drains: {left.live_chats} chats have not moved yet"
        return wait(replace(rollout, chats_left=left.live_chats), message)
    stay = f"; {left.live_chats} stay, and resume when it is back" if left.live_chats else ""
    event = Event("ChatsMoved", f"The chats of {rollout.pod} moved to other nodes{stay}")
    restarting = restart_pod(rollout, now, "")
    return replace(restarting, events=(event, *restarting.events))


def record_check(rollout: Rollout, judgement: ResumeJudgement | None, problem: str, now: datetime) -> Decision:
    """The node's resume was judged, or it could not be asked (`problem`)."""
    if judgement is None:
        return wait(rollout, f"no resume report of {rollout.pod} yet: {problem}")
    if not judgement.good:
        return halt(rollout, now, f"{rollout.pod} failed its resume check ({judgement.verdict.name}): {judgement.detail}")
    proven = enter_step(rollout, RolloutStep.WAITING, now, witness=None)
    proven = replace(proven, completed=(*rollout.completed, rollout.pod), pod="", pod_uid="")
    return Decision(proven, events=(Event("PodResumed", f"{rollout.pod}: {judgement.detail}"),), recheck_s=0)
