"""Diagnosis: over every combination of findings the gravest wins, and phase and conditions follow from it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest

from hermes_operator.diagnose import Diagnosis, diagnose
from hermes_operator.nodes.members import MemberRecord
from hermes_operator.observe.failures import NodeFailure
from hermes_operator.observe.observed import PodView
from hermes_operator.plan.actions import Problem
from hermes_operator.rollout.state import Rollout, RolloutStep
from hermes_operator.status.document import build_status
from hermes_operator.status.mesh_state import MeshState
from tests.unit.hermes_operator.operator_samples import by_type, mesh_of, pod_of, settled

MESH = mesh_of()
SEEN = settled(MESH)
HALTED = Rollout(RolloutStep.HALTED, 2, pod="demo-2", message="demo-2 did not come back")
IDLE = Rollout(partition=3)
CONFLICT = Problem("NameTaken", "Service demo exists")
LOST = Problem("PassphraseLost", "Secret demo-passphrase is gone", keystore=True)
PULL = pod_of("demo-1", ready=False, failure=NodeFailure("ImagePullFailed", "no such image"))
SEALED = pod_of("demo-0", ready=False, failure=NodeFailure("KeystoreTampered", "changed; restore it", keystore=True))
GOOD = MemberRecord("demo-0", verdict="RESUMED")
BAD = MemberRecord("demo-2", verdict="ROLLED_BACK", detail="older")


@dataclass(frozen=True)
class Case:
    """What is found; `gravest` and `sealed` are the reasons that must come of it, empty for none."""

    halted: bool
    problems: tuple[Problem, ...]
    pods: tuple[PodView, ...]
    members: tuple[MemberRecord, ...]

    @property
    def rollout(self) -> Rollout:
        return HALTED if self.halted else IDLE

    @property
    def gravest(self) -> str:
        if self.halted:
            return "RolloutHalted"
        if self.problems:
            return self.problems[0].reason
        failures = [pod.failure.reason for pod in self.pods if pod.failure is not None]
        return failures[0] if failures else "ResumeFailed" if BAD in self.members else ""

    @property
    def sealed(self) -> str:
        if LOST in self.problems:
            return "PassphraseLost"
        return "KeystoreTampered" if SEALED in self.pods else ""


CASES = [
    Case(*found)
    for found in itertools.product(
        (False, True),
        ((), (CONFLICT,), (LOST,), (CONFLICT, LOST), (LOST, CONFLICT)),
        ((), (PULL,), (SEALED,), (SEALED, PULL)),
        ((), (GOOD,), (BAD,), (GOOD, BAD)),
    )
]


def diagnosis_of(case: Case) -> Diagnosis:
    return diagnose(case.rollout, case.problems, case.pods, case.members)


@pytest.mark.parametrize("case", CASES)
def test_the_gravest_finding_wins(case: Case) -> None:
    found = diagnosis_of(case)
    assert (found.gravest.reason if found.gravest else "") == case.gravest
    assert (found.sealed.reason if found.sealed else "") == case.sealed
    assert (found.bad is not None) == (BAD in case.members)
    assert found.keystore_failures == (("KeystoreTampered",) if SEALED in case.pods else ())
    for finding in (found.halted, found.problem, found.failing, found.bad, found.sealed):
        assert finding is None or finding.message


@pytest.mark.parametrize("case", CASES)
def test_phase_and_conditions_follow_from_it(case: Case) -> None:
    """Whatever is found, `Degraded` and the phase name the gravest of it, and each other condition its own part."""
    pods = {pod.name: pod for pod in (*SEEN.pods, *case.pods)}
    state = MeshState(
        MESH,
        replace(SEEN, pods=tuple(pods.values())),
        case.rollout,
        {member.pod: member for member in case.members},
        case.problems,
    )
    made = build_status(state, {"phase": "Running"})
    conditions = by_type(made.body)
    assert made.diagnosis == diagnosis_of(case)
    assert made.body["phase"] == ("Halted" if case.halted else "Degraded" if case.gravest else "Running")
    degraded = conditions["Degraded"]
    assert (degraded["status"], degraded["reason"]) == (("True", case.gravest) if case.gravest else ("False", "AsExpected"))
    sealed = conditions["KeystoresSealed"]
    assert (sealed["status"] == "True", sealed["reason"] if case.sealed else "") == (bool(case.sealed), case.sealed)
    assert (conditions["ResumeVerified"]["status"] == "False") == (BAD in case.members)
    assert (conditions["Progressing"]["reason"] == "RolloutHalted") == case.halted


def test_a_node_that_is_ready_again_is_no_finding() -> None:
    assert diagnose(IDLE, (), (replace(SEALED, ready=True),)).gravest is None


def test_failures_are_told_once_with_all_their_nodes() -> None:
    second = replace(SEALED, name="demo-2")
    found = diagnose(IDLE, (), (SEALED, PULL, second)).failing
    assert found is not None
    assert found.message == "demo-0, demo-2: changed; restore it; demo-1: no such image"
