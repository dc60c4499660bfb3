"""The Job of `hermesctl check --mesh`: what it runs, what it may see, and that it is removed."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from hermes_client.scenario.cli import build_parser
from hermes_ctl.check_job import build_job
from hermes_ctl.cli import main
from tests.unit.hermes_ctl.fake_api import DEMO, FakeApi

JOBS = "/apis/batch/v1/namespaces/chat/jobs"
PODS = "/api/v1/namespaces/chat/pods"


def _options(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["--addresses", "unused", *arguments])


def _container(job: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = job["spec"]["template"]["spec"]["containers"][0]
    return container


def test_it_reaches_every_node_by_name_and_its_options_parse() -> None:
    command = _container(build_job(DEMO, _options("--messages", "100")))["command"]
    assert command[:3] == ["python3", "-m", "hermes_client.scenario"]
    parsed = build_parser().parse_args(command[3:])
    assert parsed.addresses == "demo-0.demo-nodes.chat.svc:8443,demo-1.demo-nodes.chat.svc:8443"
    assert parsed.admin == "http://demo-0.demo-nodes.chat.svc:9090,http://demo-1.demo-nodes.chat.svc:9090"
    assert parsed.messages == 100
    assert not parsed.wait_for_kill


def test_killing_and_soaking_are_passed_on() -> None:
    assert "--wait-for-kill" in _container(build_job(DEMO, _options("--wait-for-kill")))["command"]
    soak = build_parser().parse_args(_container(build_job(DEMO, _options("--duration", "60", "--pairs", "3")))["command"][3:])
    assert (soak.duration, soak.pairs) == (60.0, 3)


def test_it_sees_one_key_of_each_secret_and_has_no_rights() -> None:
    pod = build_job(DEMO, _options())["spec"]["template"]["spec"]
    assert [volume["secret"]["items"] for volume in pod["volumes"]] == [
        [{"key": "ca.crt", "path": "ca.crt"}],
        [{"key": "token", "path": "token"}],
    ]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["containers"][0]["image"] == "registry.example/hermes:1"


@pytest.mark.parametrize("code", [0, 1])
def test_the_log_is_shown_the_code_passed_on_the_victim_taken_away_and_the_job_removed(
    api: FakeApi, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hermes_ctl.check_job.secrets.token_hex", lambda _: "abc")
    api.answers[JOBS] = (201, {})
    api.answers[f"{JOBS}/demo-check-abc"] = (200, {})
    state = {"terminated": {"exitCode": code}}
    pod = {
        "metadata": {"name": "pod-1"},
        "status": {
            "phase": "Succeeded",
            "containerStatuses": [
                {"name": "check", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
            ],
        },
    }
    api.answers[PODS] = (200, {"items": [pod]})
    api.answers[f"{PODS}/pod-1/log"] = (200, b"READY: now\nlast line")
    api.answers[f"{PODS}/demo-0"] = (200, {})

    assert main(["check", "--mesh", "demo", "--kill", "pod"]) == code
    assert capsys.readouterr().out.splitlines()[1:] == ["READY: now", "took demo-0 away", "last line"]
    deleted = [path for method, path, _ in api.requests if method == "DELETE"]
    assert deleted == [f"{PODS}/demo-0", f"{JOBS}/demo-check-abc"]
