"""Carrying out the effects of a rollout step on a node, and feeding the answer back into the state machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from hermes_operator.crd_spec import MeshSpec
from hermes_operator.kube import kinds
from hermes_operator.nodes.client import NodeRequestError
from hermes_operator.nodes.departure import Leftover
from hermes_operator.nodes.members import MemberRecord, record_report
from hermes_operator.nodes.resume_check import CheckKind, ResumeCheck
from hermes_operator.nodes.resume_judgement import judge_report
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.reconcile.context import PassContext
from hermes_operator.reconcile.resume_question import ask_resume, recall
from hermes_operator.rollout.answers import record_check, record_drain, record_witness
from hermes_operator.rollout.scale_down import record_move_away
from hermes_operator.rollout.state import CheckResume, Decision, DeletePod, DrainPod, Effect, MoveAway, Rollout, TakeWitness


@dataclass(frozen=True, slots=True)
class EffectResult:
    """`decision`: the next one, None when nothing in the state changes. `member`, `check`: what a resume check learnt."""

    decision: Decision | None = None
    member: MemberRecord | None = None
    check: ResumeCheck | None = None


async def run_effect(
    context: PassContext, mesh: MeshSpec, seen: Observed, members: Mapping[str, MemberRecord], effect: Effect, rollout: Rollout
) -> EffectResult:
    """Effects may come again after a crash: each does no harm a second time."""
    if isinstance(effect, DeletePod):
        await context.api.delete(kinds.PODS, mesh.namespace, effect.pod, uid=effect.uid)
        return EffectResult()
    if isinstance(effect, MoveAway):
        return EffectResult(await _move_away(context, mesh, seen, effect, rollout))
    pod = seen.pod(effect.pod)
    if pod is None:
        return EffectResult()
    token = seen.secrets.bearer
    match effect:
        case TakeWitness():
            return EffectResult(await _take_witness(context, pod, token, rollout))
        case DrainPod():
            return EffectResult(await _drain(context, pod, token, effect, rollout))
        case CheckResume():
            member = recall(seen, members.get(pod.name, MemberRecord(pod.name)))
            return await _check_resume(context, pod, token, member, effect, rollout)


async def _take_witness(context: PassContext, pod: PodView, token: str, rollout: Rollout) -> Decision:
    try:
        witness = await context.nodes.take_witness(pod.name, pod.ip, token)
    except NodeRequestError as error:
        return record_witness(rollout, None, str(error), ready=pod.ready, now=context.clock())
    return record_witness(rollout, witness, "", ready=pod.ready, now=context.clock())


async def _drain(context: PassContext, pod: PodView, token: str, effect: DrainPod, rollout: Rollout) -> Decision:
    try:
        left = await context.nodes.drain(pod.ip, token, move=effect.move)
    except NodeRequestError as error:
        return record_drain(rollout, None, str(error), move=effect.move, now=context.clock())
    return record_drain(rollout, left, "", move=effect.move, now=context.clock())


async def _move_away(context: PassContext, mesh: MeshSpec, seen: Observed, effect: MoveAway, rollout: Rollout) -> Decision:
    """All of them at once: none is to take in what another one gives away."""

    async def tell(pod: PodView) -> Leftover | str:
        try:
            return await context.nodes.drain(pod.ip, seen.secrets.bearer, move=True)
        except NodeRequestError as error:
            return str(error)

    pods = [pod for pod in seen.pods if pod.name in effect.pods]
    answers = await asyncio.gather(*(tell(pod) for pod in pods))
    told = dict(zip((pod.name for pod in pods), answers, strict=True))
    return record_move_away(rollout, told, context.clock(), mesh.rollout.max_wait_s)


async def _check_resume(
    context: PassContext, pod: PodView, token: str, member: MemberRecord, effect: CheckResume, rollout: Rollout
) -> EffectResult:
    try:
        report = await ask_resume(context.nodes, pod, token, effect.witness, member.mark)
        version = await context.nodes.version(pod.ip, token)
    except NodeRequestError as error:
        return EffectResult(record_check(rollout, None, str(error), context.clock()))
    now = context.clock()
    judgement = judge_report(report, effect.witness, member.standing)
    return EffectResult(
        record_check(rollout, judgement, "", now),
        record_report(member, pod, report, judgement, version),
        ResumeCheck(pod.name, CheckKind.ROLLOUT, rollout.reason, judgement, now),
    )
