"""Status: each condition in each of its states, phase, numbers for people; the same observation gives the same status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hermes_core.keystore.witness_verdict import ResumeJudgement, ResumeVerdict
from hermes_operator.nodes.members import MemberRecord
from hermes_operator.nodes.resume_check import CheckKind, ResumeCheck
from hermes_operator.observe.failures import NodeFailure
from hermes_operator.observe.observed import Observed
from hermes_operator.plan.actions import Problem
from hermes_operator.rollout.state import Rollout, RolloutStep
from hermes_operator.status.document import build_status
from hermes_operator.status.mesh_state import MeshState
from hermes_operator.status.transitions import transition_events
from tests.unit.hermes_operator.operator_samples import NOW, Json, by_type, mesh_of, pod_of, reasons, settled

SEALED = NodeFailure("KeystoreBadPassphrase", "wrong passphrase; cure", keystore=True, permanent=True)
PULL = NodeFailure("ImagePullFailed", "no such image")
GOOD = {
    name: MemberRecord(name, verdict="RESUMED", version="1.0.0", resumed_chats=4) for name in ("demo-0", "demo-1", "demo-2")
}


def status_of(seen: Observed | None = None, spec: Json | None = None, **given: Any) -> Json:
    mesh = mesh_of(spec, **({"deletionTimestamp": given.pop("deleted")} if "deleted" in given else {}))
    values: Json = {"rollout": Rollout(partition=mesh.replicas), "members": GOOD} | given
    state = MeshState(mesh, seen if seen is not None else settled(mesh), **values)
    return build_status(state, state.seen.status).body


def shown(status: Json) -> dict[str, tuple[str, str]]:
    return {kind: (c["status"], c["reason"]) for kind, c in by_type(status).items()}


def test_a_mesh_at_rest() -> None:
    status = status_of()
    assert shown(status) == {
        "Ready": ("True", "AllNodesReady"),
        "Progressing": ("False", "Complete"),
        "Degraded": ("False", "AsExpected"),
        "CertificatesReady": ("True", "Issued"),
        "KeystoresSealed": ("False", "AllOpened"),
        "ResumeVerified": ("True", "AllResumed"),
        "RolloutPaused": ("False", "NotPaused"),
    }
    assert (status["phase"], status["replicasReady"], status["epochsResumed"]) == ("Running", "3/3", "12/12")
    assert (status["version"], status["updatedReplicas"], status["observedGeneration"]) == ("1.0.0", 3, 1)
    assert "hermesmesh.io/mesh=demo" in status["selector"]


def test_same_observation_same_status_whatever_the_time() -> None:
    seen = settled(mesh_of())
    first = status_of(seen)
    later = replace(seen, status=first, now=NOW + timedelta(hours=1))
    assert status_of(later) == first


def test_a_condition_that_changes_gets_a_new_time_and_others_keep_theirs() -> None:
    seen = settled(mesh_of())
    first = status_of(seen)
    down = replace(
        seen, status=first, now=NOW + timedelta(minutes=5), pods=(*seen.pods[:2], replace(seen.pods[2], ready=False))
    )
    second = by_type(status_of(down))
    assert second["Ready"]["lastTransitionTime"] == "2026-11-24T12:05:00Z"
    assert second["RolloutPaused"]["lastTransitionTime"] == "2026-11-24T12:00:00Z"
    third = by_type(status_of(replace(seen, status=status_of(down), now=NOW + timedelta(minutes=9))))
    assert third["Ready"]["lastTransitionTime"] == "2026-11-24T12:09:00Z"


def test_before_anything_exists() -> None:
    status = status_of(Observed(now=NOW, objects={}), members={})
    assert status["phase"] == "Pending"
    assert shown(status)["Ready"] == ("False", "NotCreated")
    assert shown(status)["ResumeVerified"] == ("Unknown", "NotChecked")
    assert shown(status)["CertificatesReady"] == ("False", "NotIssued")


@pytest.mark.parametrize(
    ("before", "phase"), [("", "Creating"), ("Pending", "Creating"), ("Creating", "Creating"), ("Running", "Degraded")]
)
def test_a_mesh_that_never_ran_is_being_created(before: str, phase: str) -> None:
    seen = settled(mesh_of(), pods=(), status={"phase": before})
    status = status_of(seen)
    assert status["phase"] == phase
    assert shown(status)["Progressing"] == ("True", "WaitingForNodes")
    assert shown(status)["KeystoresSealed"] == ("Unknown", "NodesNotReady")


def test_a_sealed_keystore_is_shown_with_its_cure() -> None:
    pods = tuple(pod_of(f"demo-{n}", ready=False, failure=SEALED) for n in range(2))
    seen = settled(mesh_of())
    status = status_of(replace(seen, pods=(*pods, seen.pods[2])))
    assert shown(status)["KeystoresSealed"] == ("True", "KeystoreBadPassphrase")
    assert by_type(status)["KeystoresSealed"]["message"] == "demo-0, demo-1: wrong passphrase; cure"
    assert shown(status)["Degraded"] == ("True", "KeystoreBadPassphrase")
    assert status["phase"] == "Degraded"


def test_other_failures_seal_nothing() -> None:
    seen = settled(mesh_of())
    status = status_of(replace(seen, pods=(pod_of("demo-0", ready=False, failure=PULL), *seen.pods[1:])))
    assert shown(status)["KeystoresSealed"] == ("Unknown", "NodesNotReady")
    assert shown(status)["Degraded"] == ("True", "ImagePullFailed")


def test_a_problem_of_the_passphrase() -> None:
    problem = Problem("PassphraseMissing", "Secret vault has no key", keystore=True)
    status = status_of(Observed(now=NOW, objects={}), problems=(problem,), members={})
    for kind in ("KeystoresSealed", "Degraded"):
        assert shown(status)[kind] == ("True", "PassphraseMissing")
    assert shown(status)["Progressing"] == ("False", "PassphraseMissing")
    assert by_type(status)["Ready"]["message"] == "Secret vault has no key"


@pytest.mark.parametrize(
    ("rollout", "paused", "phase", "progressing"),
    [
        (
            Rollout(RolloutStep.RESTART, 2, pod="demo-2", message="demo-2 is starting"),
            False,
            "RollingOut",
            ("True", "RollingOut"),
        ),
        (Rollout(RolloutStep.VERIFY, 2, pod="demo-2"), True, "RollingOut", ("True", "RollingOut")),
        (Rollout(RolloutStep.WAITING, 3), True, "Paused", ("False", "Paused")),
        (Rollout(RolloutStep.HALTED, 2, pod="demo-2", message="no"), False, "Halted", ("False", "RolloutHalted")),
    ],
)
def test_rollouts(rollout: Rollout, paused: bool, phase: str, progressing: tuple[str, str]) -> None:
    status = status_of(spec={"rollout": {"paused": paused}}, rollout=rollout)
    assert status["phase"] == phase
    assert shown(status)["Progressing"] == progressing
    assert shown(status)["Ready"][0] == "False"
    assert shown(status)["RolloutPaused"][0] == str(paused)
    assert shown(status)["Degraded"][0] == str(rollout.step is RolloutStep.HALTED)


def test_a_node_that_lost_something_is_shown_until_it_is_accepted() -> None:
    lost = GOOD | {"demo-1": MemberRecord("demo-1", verdict="ROLLED_BACK", detail="older", lost_chats=3, version="1.0.1")}
    status = status_of(members=lost)
    assert shown(status)["ResumeVerified"] == ("False", "ResumeFailed")
    assert shown(status)["Degraded"] == ("True", "ResumeFailed")
    assert "demo-1: ROLLED_BACK, older" in by_type(status)["ResumeVerified"]["message"]
    assert (status["epochsResumed"], status["version"], status["phase"]) == ("8/11", "1.0.0,1.0.1", "Degraded")


def test_expired_certificates() -> None:
    seen = settled(mesh_of())
    status = status_of(replace(seen, now=NOW + timedelta(days=91)))
    assert shown(status)["CertificatesReady"] == ("False", "Expired")
    grown = build_status(MeshState(mesh_of({"replicas": 4}), seen, Rollout(), GOOD), {}).body
    assert shown(grown)["CertificatesReady"] == ("False", "NotIssued")


def test_deletion_has_its_phase() -> None:
    assert status_of(deleted="2026-11-24T12:00:00Z")["phase"] == "Deleting"


def test_an_unsettled_statefulset_is_not_ready() -> None:
    seen = settled(mesh_of())
    assert seen.statefulset is not None
    unsettled = replace(seen, statefulset=replace(seen.statefulset, settled=False))
    assert shown(status_of(unsettled))["Ready"] == ("False", "RolloutNotComplete")


def test_last_check_is_kept_until_the_next() -> None:
    seen = settled(mesh_of(), status={"lastResumeCheck": {"pod": "demo-1"}})
    assert status_of(seen)["lastResumeCheck"] == {"pod": "demo-1"}
    judgement = ResumeJudgement(ResumeVerdict.ROLLED_BACK, "older")
    check = ResumeCheck("demo-2", CheckKind.ROLLOUT, "image changed", judgement, NOW)
    assert status_of(seen, last_check=check)["lastResumeCheck"] == {
        "pod": "demo-2",
        "time": "2026-11-24T12:00:00Z",
        "trigger": "image changed",
        "result": "fail",
        "detail": "older",
    }


def test_events_are_told_once_and_only_of_what_changed() -> None:
    seen = settled(mesh_of())
    good = status_of(seen)
    broken = status_of(replace(seen, pods=(pod_of("demo-0", ready=False, failure=SEALED), *seen.pods[1:])))
    pulling = status_of(replace(seen, pods=(pod_of("demo-0", ready=False, failure=PULL), *seen.pods[1:])))
    assert reasons(transition_events({}, good)) == ["MeshReady"]
    assert transition_events(good, good) == ()
    assert reasons(transition_events(good, broken)) == ["MeshNotReady", "KeystoreProblem"]
    assert reasons(transition_events(good, pulling)) == ["MeshNotReady", "NodeProblem"]
    assert reasons(transition_events(broken, good)) == ["MeshReady"]
    rolling = status_of(seen, rollout=Rollout(RolloutStep.RESTART, 2, pod="demo-2"))
    assert transition_events(good, rolling) == ()
    lost = status_of(seen, members=GOOD | {"demo-1": MemberRecord("demo-1", verdict="ROLLED_BACK")})
    assert reasons(transition_events(good, lost)) == ["ResumeFailed"]
