"""status, restart and their errors, against an API server that answers what it is told."""

from __future__ import annotations

import json

import pytest
import yaml

from hermes_ctl.cli import main
from tests.unit.hermes_ctl.fake_api import DEMO, MESHES, FakeApi


def test_status_lists_meshes(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["MESH", "READY", "REPLICAS", "RESUMED", "PHASE", "VERSION"]
    assert row.split() == ["demo", "True", "2/2", "5/5", "Running", "0.1.0"]


def test_status_of_one_mesh_shows_members_and_what_is_wrong(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "demo"]) == 0
    out = capsys.readouterr().out
    assert "demo-0   5       5         0      3            42        RESUMED" in out
    assert "demo-1   -" in out
    assert "ResumeVerified=False Missing: 2 chats did not resume" in out
    assert "Ready=True" not in out
    assert "abcd" not in out


def test_status_wide_adds_columns(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "demo", "-o", "wide"]) == 0
    assert "abcd" in capsys.readouterr().out


def test_status_as_json_and_yaml_is_the_object(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "demo", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == DEMO
    assert main(["status", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == {"items": [DEMO]}


def test_status_of_all_namespaces(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["/apis/hermesmesh.io/v1alpha1/hermesmeshes"] = (200, {"items": [DEMO]})
    assert main(["status", "-A"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["chat", "demo"]


def test_an_empty_namespace_says_what_to_do(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers[MESHES.replace("chat", "empty")] = (200, {"items": []})
    assert main(["status", "--context", "elsewhere"]) == 0
    assert "look everywhere with -A" in capsys.readouterr().out


def test_restart_annotates_the_mesh(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restart", "demo"]) == 0
    method, path, body = api.requests[-1]
    assert (method, path) == ("PATCH", f"{MESHES}/demo")
    assert list(body["metadata"]["annotations"]) == ["hermesmesh.io/restartedAt"]
    assert "hermesctl status demo -n chat --watch" in capsys.readouterr().out


@pytest.mark.parametrize(("step", "code"), [("Idle", 0), ("Halted", 1)])
def test_restart_wait_ends_with_the_rollout(api: FakeApi, step: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    mesh = json.loads(json.dumps(DEMO))
    mesh["status"]["rollout"] = {"step": step, "finishedAt": "2026-01-01T00:00:00Z", "message": "a word of explanation"}
    before = (200, DEMO)  # read once, and answered to the patch
    api.answers[f"{MESHES}/demo"] = [before, before, before, (200, mesh)]
    assert main(["restart", "demo", "--wait", "--timeout", "10"]) == code
    assert "a word of explanation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        ((404, {}), "there is no HermesMesh demo in namespace chat"),
        ((403, {}), "does not allow this"),
        ((500, {}), "answered 500"),
    ],
)
def test_errors_are_one_line_with_the_cure(
    api: FakeApi, answer: tuple[int, object], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers[f"{MESHES}/demo"] = answer
    assert main(["status", "demo"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hermesctl: ")
    assert error.count("\n") == 1
    assert cure in error


def test_a_cluster_without_the_operator_says_how_to_install_it(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    del api.answers[MESHES]
    assert main(["status"]) == 2
    assert "helm install" in capsys.readouterr().err


def test_a_context_that_is_not_there(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--context", "nowhere"]) == 2
    assert "cannot use the kubeconfig" in capsys.readouterr().err
