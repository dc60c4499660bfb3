"""Asking nodes that started, by themselves or for the first time, what they resumed, and judging it by the high-water marks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_operator.kube.event import Event
from hermes_operator.nodes.client import NodeClient, NodeRequestError
from hermes_operator.nodes.members import MemberRecord, record_report, refresh_member
from hermes_operator.nodes.resume_check import CheckKind, ResumeCheck
from hermes_operator.nodes.resume_judgement import judge_report
from hermes_operator.nodes.resume_report import ResumeReport
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.reconcile.resume_question import ask_resume, recall

_TRIGGER = "restart outside of a rollout"


@dataclass(frozen=True, slots=True)
class Reports:
    """`members`: those that answered, as they stand now. `checks`: one for each that had restarted.

    `unanswered`: pods that could not be asked, and why.
    """

    members: tuple[MemberRecord, ...] = ()
    checks: tuple[ResumeCheck, ...] = ()
    unanswered: Mapping[str, str] = field(default_factory=dict)


def find_due(seen: Observed, members: Mapping[str, MemberRecord], busy: str, *, refresh: bool) -> tuple[PodView, ...]:
    """Every ready pod that started since it was last asked; with `refresh` all ready ones.

    `busy`: the pod of a running rollout is left to the rollout, which knows its witness.
    """
    return tuple(
        pod
        for pod in seen.pods
        if pod.ready and pod.name != busy and (refresh or not members.get(pod.name, MemberRecord(pod.name)).describes(pod))
    )


async def read_reports(
    nodes: NodeClient, seen: Observed, members: Mapping[str, MemberRecord], due: Iterable[PodView]
) -> Reports:
    """Ask all of them at once."""
    pods = tuple(due)
    known = [recall(seen, members.get(pod.name, MemberRecord(pod.name))) for pod in pods]
    asked = (_ask(nodes, pod, seen.secrets.bearer, member.mark) for pod, member in zip(pods, known, strict=True))
    answers = await asyncio.gather(*asked)
    told: list[MemberRecord] = []
    checks: list[ResumeCheck] = []
    unanswered: dict[str, str] = {}
    for pod, member, answer in zip(pods, known, answers, strict=True):
        if isinstance(answer, NodeRequestError):
            unanswered[pod.name] = str(answer)
            continue
        now, check = _judge(member, pod, *answer, seen)
        told.append(now)
        checks += [check] if check is not None else []
    return Reports(tuple(told), tuple(checks), unanswered)


async def _ask(nodes: NodeClient, pod: PodView, token: str, mark: str) -> tuple[ResumeReport, str] | NodeRequestError:
    try:
        return await ask_resume(nodes, pod, token, None, mark), await nodes.version(pod.ip, token)
    except NodeRequestError as error:
        return error


def _judge(
    member: MemberRecord, pod: PodView, report: ResumeReport, version: str, seen: Observed
) -> tuple[MemberRecord, ResumeCheck | None]:
    if member.describes(pod) and report.verdict is not ResumeVerdict.ROLLED_BACK:
        return refresh_member(member, report, version), None
    judgement = judge_report(report, None, member.standing)
    started = record_report(member, pod, report, judgement, version)
    if member.standing is None and judgement.good:
        return started, None  # its first start ever: there was nothing to resume
    return started, ResumeCheck(pod.name, CheckKind.RESTART, _TRIGGER, judgement, seen.now)


def check_event(check: ResumeCheck) -> Event:
    """What a person is told of a restart outside of a rollout."""
    pod, judgement = check.pod, check.judgement
    if judgement.good:
        return Event("PodResumed", f"{pod} restarted outside of a rollout: {judgement.detail}")
    message = f"{pod} restarted outside of a rollout and is not what it was ({judgement.verdict.name}): {judgement.detail}"
    return Event("KeystoreProblem", message, warning=True)
