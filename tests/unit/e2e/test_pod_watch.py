"""What the end-to-end test reads from a watch of pods: who was down together, and who was replaced when."""

from __future__ import annotations

from tests.e2e.phases.pod_watch import Change, PodState, find_down_together, order_of_replacement, read_pod

NAMES = ["m-0", "m-1"]
BOTH_UP: list[Change] = [("ADDED", PodState("m-0", "a", up=True)), ("ADDED", PodState("m-1", "b", up=True))]


def _manifest(*, ready: bool, deleted: bool) -> dict[str, object]:
    meta: dict[str, object] = {"name": "m-0", "uid": "a"}
    if deleted:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def test_a_pod_is_up_only_when_ready_and_not_on_its_way_out() -> None:
    assert read_pod(_manifest(ready=True, deleted=False)).up
    assert not read_pod(_manifest(ready=False, deleted=False)).up
    assert not read_pod(_manifest(ready=True, deleted=True)).up


def test_two_pods_down_at_once_are_seen_however_short_it_was() -> None:
    changes: list[Change] = [
        *BOTH_UP,
        ("MODIFIED", PodState("m-1", "b", up=False)),
        ("DELETED", PodState("m-0", "a", up=True)),
        ("ADDED", PodState("m-0", "c", up=True)),
        ("MODIFIED", PodState("m-1", "b", up=True)),
    ]
    assert find_down_together(changes, NAMES) == {"m-0", "m-1"}


def test_one_after_the_other_is_one_at_a_time() -> None:
    changes: list[Change] = [
        *BOTH_UP,
        ("DELETED", PodState("m-1", "b", up=False)),
        ("ADDED", PodState("m-1", "d", up=True)),
        ("DELETED", PodState("m-0", "a", up=False)),
        ("ADDED", PodState("m-0", "c", up=True)),
    ]
    assert len(find_down_together(changes, NAMES)) == 1
    assert order_of_replacement(changes) == ["m-1", "m-0"]


def test_what_came_before_the_mesh_was_whole_does_not_count() -> None:
    assert find_down_together(BOTH_UP, NAMES) == frozenset()


def test_a_restarted_container_is_no_replacement() -> None:
    changes: list[Change] = [
        *BOTH_UP,
        ("MODIFIED", PodState("m-0", "a", up=False)),
        ("MODIFIED", PodState("m-0", "a", up=True)),
    ]
    assert order_of_replacement(changes) == []
