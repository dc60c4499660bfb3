"""Chats move before nodes go: scaling down, and rollouts with spec.rollout.chats Move, in whole passes over HTTP."""

from __future__ import annotations

import pytest

from tests.component.operator.conftest import OperatedCluster
from tests.component.operator.test_reconcile import sample

LEAVING = ("demo-2", "demo-3", "demo-4")


def replicas(operated: OperatedCluster) -> int:
    return int(operated.api.of("statefulsets")["demo"]["spec"]["replicas"])


async def come_up(operated: OperatedCluster, count: int) -> None:
    operated.create_mesh({"replicas": count})
    await operated.until_running()


async def test_replicas_are_lowered_once_the_nodes_that_leave_hold_no_chat(operated: OperatedCluster) -> None:
    """Also by an operator that forgets everything after each pass."""
    await come_up(operated, 5)
    operated.change_mesh({"replicas": 2})
    seen: list[tuple[int, int]] = []
    for _ in range(20):
        operated.restart_operator()
        await operated.one_pass()
        seen.append((replicas(operated), sum(operated.nodes.disks[pod].chats for pod in LEAVING)))
        if seen[-1][0] == 5:
            assert operated.condition("Progressing") == ("True", "ScalingDown")
        operated.nodes.step()
        if operated.status().get("replicasReady") == "2/2" and "scaleDown" not in operated.status()["rollout"]:
            break
    assert all(chats == 0 for count, chats in seen if count == 2), seen
    assert seen[-1] == (2, 0)
    assert set(operated.api.of("pods")) == {"demo-0", "demo-1"}
    assert {name for name, disk in operated.nodes.disks.items() if disk.moves} == set(LEAVING), "nobody else was told"
    events = operated.api.events()
    assert [event for event in events if event != "MeshReady"] == ["ScaleDownStarted", "ChatsMoved"]
    assert sample(operated, "hermes_operator_chats_to_move") == 0
    await operated.until_running()
    assert operated.condition("Progressing") == ("False", "Complete")


async def test_chats_of_apps_that_are_away_do_not_hold_a_node_and_are_told(operated: OperatedCluster) -> None:
    await come_up(operated, 3)
    operated.nodes.disks["demo-2"].away = 3
    operated.change_mesh({"replicas": 2})
    await operated.until(lambda: replicas(operated) == 2)
    assert "ChatsLeftBehind" in operated.api.events()
    assert operated.nodes.disks["demo-2"].chats == 3


async def test_a_node_that_cannot_be_asked_goes_when_it_took_too_long(operated: OperatedCluster) -> None:
    await come_up(operated, 3)
    operated.nodes.silent = {"demo-2"}
    operated.change_mesh({"replicas": 2})
    for _ in range(10):
        await operated.one_pass()
        operated.nodes.step()
    assert replicas(operated) == 3
    await operated.until(lambda: replicas(operated) == 2, step_s=150)
    assert "ChatsLeftBehind" in operated.api.events()


async def test_nodes_that_are_wanted_after_all_are_restarted(operated: OperatedCluster) -> None:
    await come_up(operated, 3)
    operated.nodes.disks["demo-2"].chats = 50
    uid = operated.api.of("pods")["demo-2"]["metadata"]["uid"]
    operated.change_mesh({"replicas": 2})
    await operated.until(lambda: operated.nodes.disks["demo-2"].moves > 1)
    operated.change_mesh({"replicas": 3})
    await operated.until(lambda: "ScaleDownSuperseded" in operated.api.events())
    await operated.until_running()
    assert operated.api.of("pods")["demo-2"]["metadata"]["uid"] != uid
    assert replicas(operated) == 3


@pytest.mark.parametrize(("chats", "moved"), [("Resume", 0), ("Move", 4)])
async def test_in_a_rollout_chats_move_first_where_the_spec_says_so(operated: OperatedCluster, chats: str, moved: int) -> None:
    operated.create_mesh({"rollout": {"chats": chats}})
    await operated.until_running()
    operated.change_mesh({"image": "hermes:2"})
    await operated.until(lambda: operated.api.events().count("RolloutCompleted") == 1)
    await operated.until_running()
    assert {disk.moved for disk in operated.nodes.disks.values()} == {moved}
    events = operated.api.events()
    assert events.count("ChatsMoved") == (3 if moved else 0)
    assert events.count("PodResumed") == 3, "chats that moved are not lost"
    assert operated.condition("ResumeVerified") == ("True", "AllResumed")
    assert ("4 moved since" in operated.status()["lastResumeCheck"]["detail"]) == bool(moved)
