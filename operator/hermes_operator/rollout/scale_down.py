"""Scaling down: the nodes that leave move their chats to the others first, then the StatefulSet's replicas are lowered; pure.

The state lies beside the rolling restart's, which waits meanwhile, and survives the operator's own restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from hermes_operator.kube.event import Event
from hermes_operator.nodes.departure import Leftover
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.rollout.decisions import POLL_S
from hermes_operator.rollout.state import Decision, DeletePod, MoveAway, Rollout, ScaleDown


def held_replicas(rollout: Rollout, wanted: int, seen: Observed) -> int:
    """How many nodes the StatefulSet may have: not fewer than it has, as long as those that leave hold chats."""
    current = wanted if seen.statefulset is None else seen.statefulset.replicas
    down = rollout.scale_down
    released = down is not None and down.released and down.replicas == wanted
    return wanted if released else max(wanted, current)


def plan_scale_down(rollout: Rollout, wanted: int, seen: Observed) -> Decision | None:
    """None when nothing is, or was, to be scaled down."""
    down, has = rollout.scale_down, wanted if seen.statefulset is None else seen.statefulset.replicas
    if has <= wanted:
        return None if down is None else _end(rollout, down, wanted, seen)
    leaving = find_leaving(seen, wanted)
    events: tuple[Event, ...] = ()
    if down is None or down.replicas != wanted:
        down = ScaleDown(wanted, seen.now)
        names = ", ".join(pod.name for pod in leaving)
        events = (Event("ScaleDownStarted", f"From {has} nodes to {wanted}: the chats of {names} move to the others first"),)
    rollout = replace(rollout, scale_down=down)
    if down.released:
        return Decision(rollout, recheck_s=POLL_S)
    running = tuple(pod.name for pod in leaving if pod.running)
    if not running:  # nobody is there to be asked: what they hold stays on their volumes
        return Decision(replace(rollout, scale_down=replace(down, released=True)), events=events, recheck_s=0)
    return Decision(rollout, effects=(MoveAway(running),), events=events, recheck_s=POLL_S)


def find_leaving(seen: Observed, wanted: int) -> tuple[PodView, ...]:
    return tuple(pod for pod in seen.pods if pod.ordinal >= wanted)


def _end(rollout: Rollout, down: ScaleDown, wanted: int, seen: Observed) -> Decision:
    """The replicas are lowered; or somebody wants the nodes after all, which drain until they are restarted."""
    rest = replace(rollout, scale_down=None)
    if down.released and down.replicas == wanted:
        return Decision(rest, recheck_s=0)
    drained = [pod for pod in find_leaving(seen, down.replicas) if pod.running and pod.ordinal < wanted]
    restarted = tuple(DeletePod(pod.name, pod.uid) for pod in drained)
    message = f"{wanted} nodes are wanted after all: those that were to leave are restarted"
    return Decision(rest, effects=restarted, events=(Event("ScaleDownSuperseded", message),), recheck_s=POLL_S)


def record_move_away(rollout: Rollout, answers: Mapping[str, Leftover | str], now: datetime, wait_s: float) -> Decision:
    """What the nodes that leave still hold, or why one could not be asked.

    They go when nothing more moves, or when it took `wait_s`.
    """
    down = rollout.scale_down
    if down is None:
        return Decision(rollout)
    left = {pod: answer for pod, answer in answers.items() if isinstance(answer, Leftover)}
    silent = {pod: answer for pod, answer in answers.items() if isinstance(answer, str)}
    chats = sum(each.live_chats for each in left.values())
    apps = sum(each.sessions for each in left.values())
    finished = not silent and (chats == 0 or (apps == 0 and chats == down.chats_left))
    overdue = (now - down.started_at).total_seconds() > wait_s
    noted = replace(down, chats_left=chats, released=finished or overdue)
    rollout = replace(rollout, scale_down=noted)
    if not noted.released:
        return Decision(rollout, recheck_s=POLL_S)
    return Decision(rollout, events=(_describe_end(down.replicas, left, silent),), recheck_s=0)


def _describe_end(replicas: int, left: Mapping[str, Leftover], silent: Mapping[str, str]) -> Event:
    holding = [f"{pod} ({each.live_chats})" for pod, each in sorted(left.items()) if each.live_chats]
    if not holding and not silent:
        return Event("ChatsMoved", f"The nodes above {replicas} hold no chat any more: they go")
    parts = [f"chats stay on {', '.join(holding)}: their apps move them when they are back"] if holding else []
    parts += [f"{pod} could not be asked: {why}" for pod, why in sorted(silent.items())]
    return Event("ChatsLeftBehind", f"Scaling down to {replicas}: {'; '.join(parts)}. The volumes are kept", warning=True)
