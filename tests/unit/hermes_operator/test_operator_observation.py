"""Reading pods, failures with their cures, durations, quantities and resume reports."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.errors import KeystoreBadPassphraseError, KeystoreLockedError
from hermes_operator.durations import format_duration, parse_duration, parse_quantity
from hermes_operator.members import Member, parse_members, record_report, refresh_member, render_members
from hermes_operator.node_failures import MAX_MESSAGE_CHARS, read_failure
from hermes_operator.observed import read_pods, read_statefulset
from hermes_operator.resume import Mark, judge_resume
from tests.unit.hermes_operator.operator_samples import pod_of, report_of, witness_of


def container(**changes: Any) -> dict[str, Any]:
    return {"name": "hermes-node", "ready": False, "restartCount": 0, **changes}


def ended(code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": "Error"}}


@pytest.mark.parametrize("code", range(71, 79))
def test_every_exit_code_of_a_node_is_a_failure_with_a_cure(code: int) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    for status in (container(state=ended(code)), container(state=waiting, lastState=ended(code, "one line"))):
        failure = read_failure("Running", status)
        assert failure is not None
        assert failure.exit_code == code
        assert failure.keystore == (code != 78)
        assert failure.permanent == (code not in {74, 75})
        assert failure.message


def test_the_nodes_own_last_line_is_shown_and_the_cure_only_once() -> None:
    cure = KeystoreBadPassphraseError.cure
    log = '{"level":"info","event":"start"}\nKEYSTORE_BAD_PASSPHRASE: no; cure: ' + cure + '\n{"level":"error"}\n'
    failure = read_failure("Running", container(state=ended(71, log)))
    assert failure is not None
    assert failure.reason == "KeystoreBadPassphrase"
    assert failure.message == f"KEYSTORE_BAD_PASSPHRASE: no; cure: {cure}"
    without = read_failure("Running", container(state=ended(75, "KEYSTORE_LOCKED")))
    assert without is not None
    assert KeystoreLockedError.cure in without.message


def test_an_endless_line_is_cut() -> None:
    failure = read_failure("Running", container(state=ended(78, "x" * 9999)))
    assert failure is not None
    assert len(failure.message) <= MAX_MESSAGE_CHARS


def test_what_is_no_failure() -> None:
    running: dict[str, Any] = {"running": {}}
    assert read_failure("Pending", {}) is None
    assert read_failure("Running", container(state=running)) is None
    assert read_failure("Running", container(state=running, ready=True, lastState=ended(71))) is None
    assert read_failure("Running", container(state=ended(137))) is None
    assert read_failure("Pending", container(state={"waiting": {"reason": "ContainerCreating"}})) is None


def test_a_starting_container_still_shows_why_the_last_one_ended() -> None:
    failure = read_failure("Running", container(state={"running": {}}, lastState=ended(72)))
    assert failure is not None
    assert failure.reason == "KeystoreTampered"


def test_pulling_an_image_fails_in_one_voice() -> None:
    """The kubelet alternates between two reasons; the status must not."""
    said = 'failed to pull "x": not found'
    texts = (("ErrImagePull", said), ("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {said}'))
    failures = {read_failure("Pending", container(state={"waiting": {"reason": r, "message": m}})) for r, m in texts}
    assert len(failures) == 1


def test_crash_loop_tells_the_exit_code() -> None:
    status = container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended(1, "Traceback\nKeyError: 'x'"))
    failure = read_failure("Running", status)
    assert failure is not None
    assert failure.message.startswith("exit code 1: KeyError: 'x'; ")


def pod_body(name: str, **changes: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": "u", "labels": {"controller-revision-hash": "rev"}} | changes.pop("metadata", {})
    status = {
        "podIP": "10.0.0.1",
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [container(ready=True, restartCount=2, state={"running": {}})],
    } | changes
    return {"metadata": metadata, "status": status}


def test_pods_are_read_and_strangers_left_out() -> None:
    bodies = [pod_body("demo-10"), pod_body("demo-2"), pod_body("demo-check-x7"), pod_body("demo-nodes-1"), pod_body("demo-")]
    pods = read_pods(bodies, "demo")
    assert [pod.name for pod in pods] == ["demo-2", "demo-10"]
    assert (pods[0].ready, pods[0].running, pods[0].restarts, pods[0].revision) == (True, True, 2, "rev")


def test_a_pod_that_ends_is_neither_ready_nor_failed() -> None:
    ending = pod_body("demo-0", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, phase="Failed")
    (pod,) = read_pods([ending], "demo")
    assert (pod.ready, pod.running, pod.failed, pod.terminating) == (False, False, False, True)


def test_a_pod_without_status_is_read_as_well() -> None:
    (pod,) = read_pods([{"metadata": {"name": "demo-0"}}], "demo")
    assert (pod.ready, pod.ip, pod.revision) == (False, "", "")


def test_statefulset_is_settled_once_its_controller_saw_it() -> None:
    body: dict[str, Any] = {"metadata": {"generation": 2}, "spec": {"template": {}}, "status": {"observedGeneration": 1}}
    view = read_statefulset(body)
    assert view is not None
    assert not view.settled
    assert view.partition == 0
    body["status"]["observedGeneration"] = 2
    view = read_statefulset(body)
    assert view is not None
    assert view.settled
    assert read_statefulset(None) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("0s", 0),
        ("0", 0),
        ("2m0s", 120),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("1μs", 1e-6),
        ("+30s", 30),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0s", "1ms", "500ms", "1s", "90s", "2m", "1h", "168h", "87600h"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["", "1", "1d", "+", "++1s", "٣s", "1 h", "h", "-1s", "1h 30m", "1h30"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("one", "other"), [("1000m", "1"), ("1024Mi", "1Gi"), ("1k", 1000), ("1e3", "1000"), ("0.5", "500m"), ("1E3", "1k")]
)
def test_equal_quantities(one: str, other: str | int) -> None:
    assert parse_quantity(one) == parse_quantity(other)


@pytest.mark.parametrize("text", ["", "plenty", "1GB", "Gi", "1 Gi"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


MARK = Mark("fp-demo-2", 4, 100)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "RESUMED"),
        ({"generation": 5}, "RESUMED"),
        ({"closed_since": 2, "resumed": 5}, "RESUMED"),
        ({"expired": 2}, "RESUMED"),
        ({"identity_fingerprint": "fp-other"}, "IDENTITY_CHANGED"),
        ({"generation": 3}, "ROLLED_BACK"),
        ({"commit_counter": 99}, "ROLLED_BACK"),
        ({"generation": 5, "commit_counter": 99}, "ROLLED_BACK"),
        ({"rolled_back": 1}, "ROLLED_BACK"),
        ({"corrupt": 1}, "ROLLED_BACK"),
        ({"missing": 1}, "RECORDS_MISSING"),
        ({"lowered": 1}, "POSITIONS_LOWERED"),
    ],
)
def test_judgement_with_a_witness_and_with_a_mark_alone(changes: dict[str, Any], verdict: str) -> None:
    """A node that says RESUMED cannot vouch for itself against what is known."""
    report = report_of(**changes)
    assert judge_resume(report, witness_of(), MARK).verdict == verdict
    assert judge_resume(report, None, MARK).verdict == verdict
    assert judge_resume(report, witness_of(), None).verdict == verdict


def test_the_nodes_own_verdict_counts_against_it() -> None:
    for verdict in ("RECORDS_MISSING", ""):
        assert not judge_resume(report_of(verdict=verdict), witness_of(), MARK).good
    assert judge_resume(report_of(verdict=""), None, MARK).good


def test_the_higher_of_witness_and_mark_counts() -> None:
    assert not judge_resume(report_of(), witness_of(), Mark("fp-demo-2", 4, 102)).good
    assert not judge_resume(report_of(commit_counter=100), witness_of(commit_counter=101), MARK).good


def test_first_start_has_nothing_to_be_compared_with() -> None:
    assert judge_resume(report_of(verdict=""), None, None).good


def test_members_keep_the_highest_they_ever_saw() -> None:
    pod = pod_of("demo-2")
    good = judge_resume(report_of(), None, None)
    member = record_report(Member("demo-2"), pod, report_of(), good, "1.0.0")
    assert member.describes(pod)
    assert not member.describes(pod_of("demo-2", restarts=1))
    old = report_of(generation=3, commit_counter=5)
    fallen = record_report(member, pod, old, judge_resume(old, None, member.mark), "1.0.0")
    assert fallen.mark == member.mark
    assert fallen.bad
    stranger = report_of(identity_fingerprint="fp-other", commit_counter=999)
    replaced = record_report(member, pod, stranger, judge_resume(stranger, None, member.mark), "")
    assert (replaced.mark, replaced.version) == (member.mark, "1.0.0")
    assert refresh_member(member, stranger, "").mark == member.mark
    assert refresh_member(member, report_of(commit_counter=150, live_chats=9), "").commit_counter == 150
    assert refresh_member(member, report_of(commit_counter=50), "").commit_counter == 101


def test_members_survive_the_status() -> None:
    member = record_report(Member("demo-2"), pod_of("demo-2"), report_of(expired=1), judge_resume(report_of(), None, None), "1")
    assert parse_members({"members": render_members([member])}) == {"demo-2": member}
    assert [m["pod"] for m in render_members([Member("demo-10"), Member("demo-9")])] == ["demo-9", "demo-10"]
