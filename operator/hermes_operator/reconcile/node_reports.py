"""Asking nodes that started, by themselves or for the first time, what they resumed, and judging it by the high-water marks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermes_core.keystore.resume_verdict import ResumeJudgement
from hermes_operator.kube.event import Event
from hermes_operator.nodes.client import NodeClient, NodeError
from hermes_operator.nodes.members import Member, record_report, refresh_member, render_check
from hermes_operator.nodes.resume_judgement import judge_report
from hermes_operator.nodes.resume_report import ResumeReport
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.rollout.state import Rollout
from hermes_operator.spec import MeshSpec

logger = logging.getLogger(__name__)

RETRY_S = 3.0


@dataclass(slots=True)
class Reports:
    """`members` as they stand now; `checks`: one entry for each node that had restarted, True where all is well."""

    members: dict[str, Member]
    events: tuple[Event, ...] = ()
    checks: list[bool] = field(default_factory=list)
    last_check: dict[str, Any] | None = None
    recheck_s: float | None = None


async def read_reports(
    nodes: NodeClient,
    mesh: MeshSpec,
    seen: Observed,
    members: Mapping[str, Member],
    rollout: Rollout,
    token: str,
    *,
    refresh: bool,
) -> Reports:
    """Ask every ready node that started since it was last asked; with `refresh` all ready nodes.

    The pod of a running rollout is left to the rollout, which knows its witness.
    """
    known = {name: members.get(name, Member(name)) for name in {pod.name for pod in seen.pods} | set(members)}
    reports = Reports(dict(members))
    busy = rollout.pod if rollout.active else ""
    due = [pod for pod in seen.pods if pod.ready and pod.name != busy and (refresh or not known[pod.name].describes(pod))]
    answers = await asyncio.gather(*(_ask(nodes, pod, token) for pod in due))
    for pod, answer in zip(due, answers, strict=True):
        if isinstance(answer, NodeError):
            logger.info("no report of %s: %s", pod.name, answer, extra={"mesh": mesh.name, "namespace": mesh.namespace})
            reports.recheck_s = RETRY_S
        else:
            _record(reports, known[pod.name], pod, answer, seen)
    return reports


async def _ask(nodes: NodeClient, pod: PodView, token: str) -> tuple[ResumeReport, str] | NodeError:
    try:
        return await nodes.check_resume(pod.name, pod.ip, token, None), await nodes.version(pod.ip, token)
    except NodeError as error:
        return error


def _record(reports: Reports, member: Member, pod: PodView, answer: tuple[ResumeReport, str], seen: Observed) -> None:
    report, version = answer
    if member.describes(pod):
        reports.members[pod.name] = refresh_member(member, report, version)
        return
    judgement = judge_report(report, None, member.standing)
    reports.members[pod.name] = record_report(member, pod, report, judgement, version)
    if member.standing is None and judgement.good:
        return  # its first start ever: there was nothing to resume
    reports.checks.append(judgement.good)
    reports.last_check = render_check(pod.name, "restart outside of a rollout", judgement, seen.now)
    reports.events += (_event(pod, judgement),)


def _event(pod: PodView, judgement: ResumeJudgement) -> Event:
    if judgement.good:
        return Event("PodResumed", f"{pod.name} restarted outside of a rollout: {judgement.detail}")
    message = f"{pod.name} restarted outside of a rollout and is not what it was ({judgement.verdict.name}): {judgement.detail}"
    return Event("KeystoreProblem", message, warning=True)
