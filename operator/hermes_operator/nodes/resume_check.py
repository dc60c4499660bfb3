"""The check of one restarted node, as `status.lastResumeCheck` and the metrics tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from hermes_core.keystore.witness_verdict import ResumeJudgement
from hermes_operator.times import format_time


class CheckKind(StrEnum):
    ROLLOUT = "rollout"
    RESTART = "restart"  # outside of a rollout


@dataclass(frozen=True, slots=True)
class ResumeCheck:
    """`trigger`: why the node restarted, for people."""

    pod: str
    kind: CheckKind
    trigger: str
    judgement: ResumeJudgement
    time: datetime

    @property
    def result(self) -> str:
        return "pass" if self.judgement.good else "fail"


def render_check(check: ResumeCheck) -> dict[str, Any]:
    """The content of `status.lastResumeCheck`."""
    return {
        "pod": check.pod,
        "time": format_time(check.time),
        "trigger": check.trigger,
        "result": check.result,
        "detail": check.judgement.detail,
    }
