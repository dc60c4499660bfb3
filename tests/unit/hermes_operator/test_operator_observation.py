"""Reading pods, failures with their cures, durations and quantities."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.errors import KeystoreBadPassphraseError, KeystoreLockedError
from hermes_operator.durations import format_duration, parse_duration, parse_quantity
from hermes_operator.observe.failures import MAX_MESSAGE_CHARS, read_failure
from hermes_operator.observe.observed import read_pods, read_statefulset


def container(**changes: Any) -> dict[str, Any]:
    return {"name": "hermes-node", "ready": False, "restartCount": 0, **changes}


def ended(code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": "Error"}}


@pytest.mark.parametrize("code", [71, 72, 73, 74, 75, 76, 78])
def test_every_exit_code_of_a_node_is_a_failure_with_a_cure(code: int) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    for status in (container(state=ended(code)), container(state=waiting, lastState=ended(code, "one line"))):
        failure = read_failure("Running", status)
        assert failure is not None
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
