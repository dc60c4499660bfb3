"""What is wrong with a mesh, and which of it is gravest: a halted rollout, a problem, a failing node, a bad resume; pure.

Phase and conditions follow from this; nobody else weighs one against another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hermes_operator.nodes.members import MemberRecord
from hermes_operator.observe.observed import PodView
from hermes_operator.plan.actions import Problem
from hermes_operator.rollout.state import Rollout, RolloutStep


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason`: one CamelCase word, as in a condition."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding of each kind, the gravest kind first. `sealed`: what of it keeps a keystore from opening.

    `keystore_failures`: the reason of each node whose keystore does not open.
    """

    halted: Finding | None = None
    problem: Finding | None = None
    failing: Finding | None = None
    bad: Finding | None = None
    sealed: Finding | None = None
    keystore_failures: tuple[str, ...] = ()

    @property
    def gravest(self) -> Finding | None:
        return self.halted or self.problem or self.failing or self.bad


def diagnose(
    rollout: Rollout, problems: Sequence[Problem] = (), pods: Iterable[PodView] = (), members: Iterable[MemberRecord] = ()
) -> Diagnosis:
    """`pods`: those that the mesh wants. Problems come in the order in which they are to be cured."""
    failing = [pod for pod in pods if pod.failed]
    sealed = [pod for pod in failing if pod.failure is not None and pod.failure.keystore]
    return Diagnosis(
        halted=Finding("RolloutHalted", rollout.message) if rollout.step is RolloutStep.HALTED else None,
        problem=_first(problems),
        failing=_describe_failures(failing),
        bad=_describe_bad([member for member in members if member.bad]),
        sealed=_first([problem for problem in problems if problem.keystore]) or _describe_failures(sealed),
        keystore_failures=tuple(pod.failure.reason for pod in sealed if pod.failure is not None),
    )


def _first(problems: Sequence[Problem]) -> Finding | None:
    return Finding(problems[0].reason, problems[0].message) if problems else None


def _describe_failures(pods: Iterable[PodView]) -> Finding | None:
    """Every failure once, with the pods that have it; the first one's reason."""
    failures = [(pod.name, pod.failure) for pod in pods if pod.failure is not None]
    by_message: dict[str, list[str]] = {}
    for name, failure in failures:
        by_message.setdefault(failure.message, []).append(name)
    told = "; ".join(f"{', '.join(names)}: {message}" for message, names in by_message.items())
    return Finding(failures[0][1].reason, told) if failures else None


def _describe_bad(members: Sequence[MemberRecord]) -> Finding | None:
    told = "; ".join(f"{member.pod}: {member.verdict}, {member.detail}" for member in members)
    cure = "Put the newest volume back, or remove the member from the status to accept that its chats must rekey"
    return Finding("ResumeFailed", f"{told}. {cure}") if members else None
