"""The scenario's command line, and the ways to kill that leave this process."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from hermes_client import PLAIN, ClientTls
from hermes_client.scenario.cli import build_killer, build_parser, build_reach, main
from hermes_client.scenario.delivery import DropOneMessage, choose_delivery, deliver
from hermes_client.scenario.kill import CutStreams, KilledFromOutside, KillWithKubectl, build_kubectl_kill, run_command
from hermes_client.scenario.restart_resume import MIN_MESSAGES, MessagePlan
from hermes_core.errors import HermesError


def _parse(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["--addresses", "a:1,b:1", *arguments])


def test_reach(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    reach = build_reach(
        _parse("--ca", "ca.crt", "--admin", "http://a:9/,http://b:9", "--admin-token-file", str(tmp_path / "token"))
    )
    assert reach.addresses == ("a:1", "b:1")
    assert reach.tls == ClientTls(ca_file=Path("ca.crt"))
    assert list(reach.admin) == ["http://a:9", "http://b:9"]
    assert build_reach(_parse("--plain")).tls is PLAIN


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HermesError, match="--admin needs --admin-token-file"):
        build_reach(_parse("--admin", "http://a"))
    with pytest.raises(HermesError, match="needs --pod"):
        build_killer(_parse("--kill", "kubectl"))
    assert main(["--addresses", ","]) == 2
    assert capsys.readouterr().err == "hermes scenario: --addresses is empty; give host:port of at least one node\n"


def test_killers() -> None:
    assert isinstance(build_killer(_parse()), CutStreams)
    for words in (["--wait-for-kill"], ["--kill", "external"], ["--kill", "operator"]):
        assert isinstance(build_killer(_parse(*words)), KilledFromOutside)
    killer = build_killer(_parse("--kill", "kubectl", "--pod", "m-0", "--namespace", "chat", "--context", "c"))
    assert isinstance(killer, KillWithKubectl)
    assert list(killer.command) == build_kubectl_kill("chat", "m-0", context="c")


def test_kubectl_takes_the_pod_away_without_grace() -> None:
    assert build_kubectl_kill(None, "m-0") == [
        "kubectl",
        *("delete", "pod", "m-0", "--force", "--grace-period=0", "--wait=false"),
    ]


async def test_commands_that_fail_say_why() -> None:
    assert await run_command(["sh", "-c", "echo out"]) == "out\n"
    with pytest.raises(HermesError, match="failed: the reason"):
        await run_command(["sh", "-c", "echo noise >&2; echo the reason >&2; exit 3"])
    with pytest.raises(HermesError, match="no-such-program is not installed"):
        await run_command(["no-such-program"])


def test_the_break_switch() -> None:
    assert choose_delivery({}) is deliver
    assert isinstance(choose_delivery({"DEMO_BREAK": "drop-message"}), DropOneMessage)
    with pytest.raises(HermesError, match="drop-message"):
        choose_delivery({"DEMO_BREAK": "x"})


@pytest.mark.parametrize("total", [0, MIN_MESSAGES, 100, 400, 1000])
def test_the_plan_sends_what_was_asked_for_and_something_in_every_phase(total: int) -> None:
    plan = MessagePlan.split(total)
    phases = (plan.before, plan.rekeyed, plan.in_flight, plan.after)
    assert 2 * sum(phases) == max(total, MIN_MESSAGES)
    assert min(phases) >= 4
