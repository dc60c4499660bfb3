"""Whole passes of the operator over HTTP: creation, rest, rollouts, faults of the API server and of nodes, deletion."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from hermes_operator import names
from hermes_operator.kube import KubeError
from tests.component.operator.conftest import OperatedCluster

STORY = ["WitnessTaken", "PodRestarting", "PodResumed"]


def sample(operated: OperatedCluster, name: str, **labels: str) -> float | None:
    value: float | None = operated.metrics.registry.get_sample_value(name, {"namespace": "chat", "mesh": "demo", **labels})
    return value


async def test_a_mesh_comes_up_and_then_nothing_is_written(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    assert {name for kind in ("services", "configmaps", "secrets") for name in operated.api.of(kind)} == {
        "demo",
        "demo-nodes",
        "demo-config",
        "demo-passphrase",
        "demo-admin",
        "demo-ca",
        "demo-tls",
    }
    await operated.one_pass()
    operated.nodes.step()
    operated.api.writes.clear()
    for _ in range(5):
        done = await operated.one_pass(refresh=True)
        operated.nodes.step()
        assert done.recheck_s is None
    assert operated.api.writes == []
    assert operated.status()["version"] == "9.9.9"
    assert operated.condition("ResumeVerified") == ("True", "AllResumed")
    assert operated.api.events() == ["MeshReady"]
    assert sample(operated, "hermes_operator_mesh_ready_replicas") == 3
    assert sample(operated, "hermes_operator_mesh_condition", condition="Ready", status="True") == 1
    assert sample(operated, "hermes_operator_rollouts_total", result="completed") == 0


async def test_passphrase_and_token_are_made_once(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    before = {name: secret["data"] for name, secret in operated.api.of("secrets").items()}
    operated.change_mesh({"replicas": 5})
    await operated.until(lambda: operated.status().get("replicasReady") == "5/5")
    after = {name: secret["data"] for name, secret in operated.api.of("secrets").items()}
    for name in ("demo-passphrase", "demo-admin", "demo-ca"):
        assert after[name] == before[name]
    assert before["demo-tls"].items() <= after["demo-tls"].items()


async def test_verified_rolling_restart(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    operated.change_mesh(annotations={names.ANNOTATION_RESTARTED: "2026-11-24T00:00:00Z"})
    await operated.one_pass()
    assert operated.status()["phase"] == "RollingOut"
    assert sample(operated, "hermes_operator_rollout_in_progress_since_timestamp_seconds")
    await operated.until_running()
    assert operated.api.events() == ["MeshReady", "RolloutStarted", *STORY * 3, "MeshReady", "RolloutCompleted"]
    acts = [entry for entry in operated.nodes.asked if entry.startswith("POST")]
    pods = ("demo-2", "demo-1", "demo-0")
    assert acts == [f"POST {path} {pod}" for pod in pods for path in ("/resume/witness", "/drain", "/resume")]
    assert operated.status()["lastResumeCheck"]["result"] == "pass"
    assert operated.status()["epochsResumed"] == "12/12"
    assert sample(operated, "hermes_operator_rollouts_total", result="completed") == 1
    assert sample(operated, "hermes_operator_resume_checks_total", check="rollout", result="pass") == 3
    assert sample(operated, "hermes_operator_resume_duration_seconds_count") == 3
    assert sample(operated, "hermes_operator_rollout_in_progress_since_timestamp_seconds") is None


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_operator_that_fails_and_restarts_all_the_time_still_gets_through(operated: OperatedCluster, seed: int) -> None:
    """A fifth of all requests to the API server fails with 409, 429, 500 or 503, and the operator forgets all it knew."""
    source = random.Random(seed)
    operated.create_mesh()
    operated.api.refuse = lambda _m, _p: source.choice((409, 429, 500, 503)) if source.random() < 0.04 else None
    for turn in range(400):
        if operated.status().get("phase") == "Running" and turn < 200:
            operated.change_mesh({"image": "hermes:2"})
        operated.restart_operator()
        with suppress(KubeError):
            await operated.one_pass()
        operated.nodes.step()
        if turn > 40 and operated.status().get("phase") == "Running" and operated.mesh()["spec"].get("image") == "hermes:2":
            break
    assert operated.status()["phase"] == "Running"
    assert {p["spec"]["containers"][0]["image"] for p in operated.api.of("pods").values()} == {"hermes:2"}
    assert operated.condition("ResumeVerified") == ("True", "AllResumed")
    for pod in ("demo-2", "demo-1", "demo-0"):
        assert f"POST /resume/witness {pod}" in operated.nodes.asked


async def test_bad_image_halts_and_a_good_one_heals(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    operated.nodes.bad_images = {"hermes:bad"}
    operated.change_mesh({"image": "hermes:bad"})
    await operated.until(lambda: "hermes:bad" in str(operated.api.of("pods").get("demo-2")))
    await operated.until(lambda: operated.status()["rollout"]["step"] == "Restart")
    waiting = operated.mesh()
    waiting["status"]["rollout"]["stepStartedAt"] = "2020-01-01T00:00:00Z"  # so that nobody has to wait for maxWaitSeconds
    operated.api.put("hermesmeshes", waiting)
    await operated.until(lambda: operated.status().get("phase") == "Halted")
    images = {name: pod["spec"]["containers"][0]["image"] for name, pod in operated.api.of("pods").items()}
    assert images == {"demo-0": "hermes:dev", "demo-1": "hermes:dev", "demo-2": "hermes:bad"}
    assert operated.condition("Degraded") == ("True", "RolloutHalted")
    assert sample(operated, "hermes_operator_rollouts_total", result="halted") == 1
    operated.change_mesh({"image": "hermes:good"})
    await operated.until_running()
    assert operated.condition("Degraded") == ("False", "AsExpected")


async def test_a_volume_put_back_from_a_snapshot_halts_the_rollout(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    operated.change_mesh({"image": "hermes:2"})
    await operated.until(lambda: operated.status()["rollout"]["step"] == "Restart")
    operated.nodes.disks["demo-2"].counter = 1
    await operated.until(lambda: operated.status().get("phase") == "Halted")
    assert "ROLLED_BACK" in operated.status()["rollout"]["message"]
    assert operated.condition("ResumeVerified") == ("False", "ResumeFailed")
    assert operated.status()["lastResumeCheck"]["result"] == "fail"
    assert sample(operated, "hermes_operator_resume_checks_total", check="rollout", result="fail") == 1
    assert "POST /resume/witness demo-1" not in operated.nodes.asked


async def test_a_node_that_restarts_by_itself_is_checked_as_well(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    operated.api.delete(("pods", "chat", "demo-1"))
    await operated.until(lambda: operated.api.events().count("PodResumed") == 1)
    assert sample(operated, "hermes_operator_resume_checks_total", check="restart", result="pass") == 1
    operated.api.delete(("pods", "chat", "demo-1"))
    operated.nodes.disks["demo-1"].identity = "another"
    await operated.until(lambda: "KeystoreProblem" in operated.api.events())
    assert operated.condition("ResumeVerified") == ("False", "ResumeFailed")
    assert sample(operated, "hermes_operator_resume_checks_total", check="restart", result="fail") == 1


@pytest.mark.parametrize(("code", "reason"), [(71, "KeystoreBadPassphrase"), (72, "KeystoreTampered"), (76, "KeystoreMissing")])
async def test_a_keystore_that_does_not_open_is_a_condition(operated: OperatedCluster, code: int, reason: str) -> None:
    operated.create_mesh()
    operated.nodes.exit_codes = {"demo-1": code}
    await operated.until(lambda: operated.status().get("phase") == "Degraded")
    assert operated.condition("KeystoresSealed") == ("True", reason)
    assert operated.api.events() == ["KeystoreProblem"]
    operated.nodes.exit_codes = {}
    await operated.until_running()
    assert operated.condition("KeystoresSealed") == ("False", "AllOpened")


async def test_a_silent_node_is_asked_again(operated: OperatedCluster) -> None:
    operated.create_mesh()
    operated.nodes.silent = {"demo-0"}
    await operated.until(lambda: operated.status().get("replicasReady") == "3/3")
    done = await operated.one_pass()
    assert done.recheck_s is not None
    assert [m["pod"] for m in operated.status()["members"]] == ["demo-1", "demo-2"]
    operated.nodes.silent = set()
    await operated.one_pass()
    assert len(operated.status()["members"]) == 3


async def test_an_object_of_somebody_else_is_not_taken_over(operated: OperatedCluster) -> None:
    foreign: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "NodePort"}}
    operated.api.put("services", foreign | {"metadata": {"name": "demo", "namespace": "chat"}})
    operated.create_mesh()
    await operated.until(lambda: operated.status().get("replicasReady") == "3/3")
    assert operated.api.of("services")["demo"]["spec"] == {"type": "NodePort"}
    assert operated.condition("Degraded") == ("True", "NameTaken")
    events = operated.api.events()
    operated.api.writes.clear()
    done = await operated.one_pass()
    assert done.recheck_s
    assert operated.api.writes == []
    assert operated.api.events() == events


async def test_volumes_grow_and_one_that_cannot_is_said_once(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    operated.change_mesh({"keystore": {"size": "2Gi"}})
    claim = "persistentvolumeclaims/keystore-demo-1"
    operated.api.refuse = lambda method, path: 403 if method == "PATCH" and path.endswith(claim) else None
    await operated.one_pass()
    sizes = {n: c["spec"]["resources"]["requests"]["storage"] for n, c in operated.api.of("persistentvolumeclaims").items()}
    assert sizes == {"keystore-demo-0": "2Gi", "keystore-demo-1": "1Gi", "keystore-demo-2": "2Gi"}
    assert operated.condition("Degraded") == ("True", "VolumeCannotGrow")
    assert operated.condition("Ready") == ("True", "AllNodesReady")
    operated.api.writes.clear()
    assert (await operated.one_pass()).recheck_s
    assert operated.api.writes == []
    operated.api.refuse = lambda _method, _path: None
    await operated.one_pass()
    assert operated.condition("Degraded") == ("False", "AsExpected")
    assert operated.api.of("statefulsets")["demo"]["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"] == {
        "storage": "1Gi"
    }


async def test_a_referred_passphrase_may_come_later(operated: OperatedCluster) -> None:
    operated.create_mesh({"keystore": {"passphraseSecretRef": {"name": "vault"}}})
    await operated.one_pass()
    done = await operated.one_pass()
    assert operated.condition("KeystoresSealed") == ("True", "PassphraseMissing")
    assert done.recheck_s == 10
    assert operated.api.of("statefulsets") == {}
    secret = {"metadata": {"name": "vault", "namespace": "chat"}, "data": {"passphrase": "c2VjcmV0"}}
    operated.api.put("secrets", secret)
    await operated.until_running()
    assert operated.api.of("secrets")["vault"] == secret


async def test_pod_monitor_where_the_cluster_has_the_api(operated: OperatedCluster) -> None:
    operated.api.apis = {"monitoring.coreos.com"}
    operated.create_mesh()
    await operated.until_running()
    assert list(operated.api.of("podmonitors")) == ["demo"]


async def test_deletion_wipes_then_deletes_then_lets_go(operated: OperatedCluster) -> None:
    operated.create_mesh({"keystore": {"retentionPolicy": "Delete"}})
    await operated.until_running()
    assert operated.mesh()["metadata"]["finalizers"] == [names.FINALIZER]
    operated.nodes.silent = {"demo-1"}
    operated.delete_mesh()
    await operated.until(lambda: not operated.mesh())
    assert operated.nodes.wiped == {"demo-0", "demo-2"}
    left = {key for key in operated.api.objects if key[0] != "events"}
    assert left == set()
    assert sample(operated, "hermes_operator_keystore_wipes_total", reason="requested") == 2
    assert operated.api.events().count("KeystoreNotWiped") == 1
    assert (await operated.one_pass()).gone
    assert sample(operated, "hermes_operator_mesh_desired_replicas") is None


async def test_deletion_that_retains_keeps_volumes_and_passphrase_and_a_new_mesh_finds_them(operated: OperatedCluster) -> None:
    operated.create_mesh()
    await operated.until_running()
    passphrase = operated.api.of("secrets")["demo-passphrase"]["data"]
    assert "finalizers" not in operated.mesh()["metadata"]
    operated.delete_mesh()
    operated.nodes.step()
    assert operated.nodes.wiped == set()
    assert {key[0] for key in operated.api.objects} == {"persistentvolumeclaims", "secrets", "events"}
    operated.create_mesh()
    await operated.until_running()
    assert operated.api.of("secrets")["demo-passphrase"]["data"] == passphrase


async def test_errors_are_said_in_the_conditions_and_taken_back(operated: OperatedCluster) -> None:
    from hermes_operator.actions import Problem

    operated.create_mesh()
    await operated.until_running()
    await operated.reconciler.report_error("chat", "demo", Problem("ReconcileFailed", "quota exceeded; tried again every 4 s"))
    assert operated.condition("Degraded") == ("True", "ReconcileFailed")
    assert operated.condition("Ready") == ("True", "AllNodesReady")
    await operated.one_pass()
    assert operated.condition("Degraded") == ("False", "AsExpected")


async def test_an_object_that_the_server_refuses_is_said_without_flapping(operated: OperatedCluster) -> None:
    from hermes_operator.actions import Problem

    operated.create_mesh()
    await operated.until_running()
    operated.change_mesh({"affinity": {"bogus": True}})
    operated.api.refuse = lambda method, path: 422 if method == "PATCH" and "statefulsets" in path else None
    trouble = Problem("ReconcileFailed", "spec.template: unknown field")
    with pytest.raises(KubeError):
        await operated.one_pass()
    await operated.reconciler.report_error("chat", "demo", trouble)
    for turn in range(3):
        if turn == 1:  # the first one may still put the phase right
            operated.api.writes.clear()
        with pytest.raises(KubeError):
            await operated.reconciler.reconcile("chat", "demo", refresh=False, trouble=trouble)
        assert operated.condition("Degraded") == ("True", "ReconcileFailed")
    assert operated.api.writes == []
    operated.api.refuse = lambda _method, _path: None
    await operated.reconciler.reconcile("chat", "demo", refresh=False, trouble=trouble)
    assert operated.condition("Degraded") == ("False", "AsExpected")


async def test_a_conflict_stops_a_pass_before_it_acts(operated: OperatedCluster) -> None:
    """Whoever lost the race for the status may not act on what it planned from an older spec."""
    operated.create_mesh()
    await operated.until_running()
    operated.change_mesh({"image": "hermes:2"})
    operated.api.refuse = lambda method, path: 409 if method == "PUT" and path.endswith("/status") else None
    operated.api.writes.clear()
    with pytest.raises(KubeError) as raised:
        await operated.one_pass()
    assert raised.value.conflict
    assert operated.api.writes == []
