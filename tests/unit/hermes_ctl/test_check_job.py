"""The Job of `hermesctl check --mesh`: what it runs, what it may see, and that it is removed."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from hermes_client.scenario.cli import build_parser
from hermes_client.scenario.option_rules import SCENARIO_RULES, refuse_ignored
from hermes_client.scenario.report import UNPROVEN, ScenarioReport, StepResult
from hermes_ctl.check_job import build_job, choose_victim
from hermes_ctl.cli import main
from hermes_ctl.errors import CtlError
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


def test_times_to_wait_are_passed_on() -> None:
    command = _container(build_job(DEMO, _options("--step-timeout", "7", "--restart-timeout", "20")))["command"]
    parsed = build_parser().parse_args(command[3:])
    assert (parsed.step_timeout, parsed.restart_timeout) == (7.0, 20.0)
    soak = build_parser().parse_args(
        _container(build_job(DEMO, _options("--duration", "60", "--step-timeout", "7")))["command"][3:]
    )
    assert soak.step_timeout == 7.0


@pytest.mark.parametrize("asked", [["--wait-for-kill"], ["--kill", "external"], ["--duration", "60", "--min-resumes", "2"], []])
def test_the_job_is_asked_nothing_that_it_would_refuse(asked: list[str]) -> None:
    parser = build_parser()
    command = _container(build_job(DEMO, _options(*asked)))["command"]
    refuse_ignored(parser, parser.parse_args(command[3:]), SCENARIO_RULES)


def test_the_pod_that_is_asked_for_is_taken_away() -> None:
    asked = argparse.Namespace(kill="kubectl", pod="demo-1")
    assert choose_victim(DEMO, asked) == "demo-1"
    assert choose_victim(DEMO, argparse.Namespace(kill="pod", pod=None)) == "demo-0"
    assert choose_victim(DEMO, argparse.Namespace(kill="external", pod=None)) is None
    with pytest.raises(CtlError, match="--pod other-0 is none of this mesh; choose one of demo-0, demo-1"):
        choose_victim(DEMO, argparse.Namespace(kill="pod", pod="other-0"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--local --kill external", "--kill means something only with --mesh or --addresses"),
        ("--local --kill none", "--kill means"),
        ("--local --duration 5", "--duration means"),
        ("--local --ca ca.crt", "--ca means"),
        ("--mesh demo --json r.json", "--json means something only with --addresses"),
        ("--mesh demo --junit r.xml", "--junit means"),
        ("--mesh demo --stop-file f", "--stop-file means"),
        ("--mesh demo --nodes 3", "--nodes means something only with --local"),
        ("--mesh demo --pod demo-1", "--pod means something only with --kill pod"),
        ("--mesh demo --pairs 3", "--pairs means something only with --duration"),
        ("--mesh demo --duration 9 --restart-timeout 20", "--restart-timeout means something only without --duration"),
        ("--mesh demo --wait-for-kill --kill pod", "--wait-for-kill means"),
        ("--addresses a:1 --kubeconfig c", "--kubeconfig means something only with --mesh"),
        ("--addresses a:1 --kill kubectl --pod x --duration 9", "--kill means"),
        ("--addresses a:1 -n chat", "--namespace means something only with --kill kubectl"),
        ("--addresses a:1 --plain --ca ca.crt", "--ca means something only without --plain"),
        ("--local --nodes 0", "invalid choice: 0"),
    ],
)
def test_what_would_be_ignored_is_refused_before_anything_is_done(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", *words.split()])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_check_on_this_machine_waits_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, float] = {}

    async def demo(_nodes: int, *, messages: int, step_timeout_s: float, restart_timeout_s: float) -> ScenarioReport:
        told.update(messages=messages, step=step_timeout_s, restart=restart_timeout_s)
        return ScenarioReport("restart-resume", [StepResult("kill", UNPROVEN)])

    monkeypatch.setattr("hermes_ctl.commands.check.run_demo", demo)
    assert main(["check", "--local", "--messages", "100", "--step-timeout", "7", "--restart-timeout", "20"]) == 2
    assert told == {"messages": 100, "step": 7.0, "restart": 20.0}


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


@pytest.mark.parametrize("code", [0, 1, 2])
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
