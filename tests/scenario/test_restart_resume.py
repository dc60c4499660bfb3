"""The restart/resume scenario with real node processes and real SIGKILL, and proof that it can fail."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hermes_client.scenario import home_loss
from hermes_client.scenario.demo import run_demo
from hermes_client.scenario.kill import CutStreams, KilledFromOutside
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.scenario.progress import PlainProgress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_UNPROVEN
from hermes_client.scenario.restart_resume import RestartResume
from hermes_client.scenario.soak import Soak
from tests.support.nodes import restart

DEADLINE_S = 90
STILL_S = 5.0  # less than what makes an app give its node up
PASSED = "PASS restart-resume: 9/9 steps, 400 messages, 0 lost, 0 duplicated, 0 reordered"

pytestmark = pytest.mark.timeout(DEADLINE_S)


def _demo(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The demo as `make demo` runs it, with its meshes under `tmp_path`."""
    return subprocess.run(
        [sys.executable, "-m", "hermes_client.scenario.demo", *arguments],
        env={**os.environ, "TMPDIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_demo_passes_writes_its_reports_and_leaves_nothing(tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    done = _demo(meshes, "--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml"))
    lines = done.stdout.splitlines()
    assert lines[-1] == PASSED, done.stdout + done.stderr
    assert done.returncode == 0
    assert "SIGKILL of local-0" in done.stdout
    assert "none went backwards" in done.stdout

    report = json.loads((tmp_path / "r.json").read_text())
    assert report["passed"] is True
    assert report["summary"] == PASSED
    suite = ET.parse(tmp_path / "r.xml").getroot()  # noqa: S314 - we wrote it
    assert (suite.get("tests"), suite.get("failures")) == ("9", "0")
    assert not list(meshes.iterdir())


def test_a_withheld_message_fails_the_demo_and_is_named(tmp_path: Path) -> None:
    done = _demo(tmp_path, DEMO_BREAK="drop-message")
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"FAIL restart-resume: step 3 messages both ways: message (a→b|b→a) #37 was lost", last), done.stdout
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


def test_the_second_act_ends_at_another_node_with_everything_there(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--act", "loss")
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("PASS home-loss: 8/8 steps, 400 messages, 0 lost, 0 duplicated, 0 reordered"), done.stdout
    assert done.returncode == 0
    assert re.search(r"SIGKILL of local-0 \(pid \d+\), \d keystore files removed, \d+ messages in flight", done.stdout)
    assert re.search(r"a waited 3 s ±30 %, is at local-[12] after \d+\.\d s; all that was said has arrived", done.stdout)
    assert not list(tmp_path.iterdir())


def test_a_withheld_message_fails_the_second_act_too(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--act", "loss", DEMO_BREAK="drop-message")
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"FAIL home-loss: step 3 messages both ways: message (a→b|b→a) #37 was lost", last), done.stdout
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


async def test_a_chat_whose_app_does_not_move_fails_the_second_act(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_loss, "PATIENCE_S", 3600.0)
    async with LocalMesh(home_loss.NODES) as mesh:
        scenario = home_loss.HomeLoss(mesh, PlainProgress(sys.stdout), messages=80, step_timeout_s=5.0)
        report = await scenario.run()
    assert report.exit_code == EXIT_BROKEN_PROMISE
    assert report.closing_line().startswith("FAIL home-loss: step 5 chat goes on at another node: not done after 5 s")


def test_an_unknown_break_is_refused(tmp_path: Path) -> None:
    done = _demo(tmp_path, DEMO_BREAK="everything")
    assert done.returncode == 2
    assert "use 'drop-message'" in done.stderr


async def test_a_single_node_dies_and_both_legs_resume() -> None:
    report = await run_demo(nodes=1, messages=200, environment={})
    assert report.passed, report.closing_line()
    assert report.resumes == {"a": 1, "b": 1}


async def test_the_node_of_the_app_that_answered_dies() -> None:
    report = await run_demo(nodes=2, kill_node=1, messages=200, environment={})
    assert report.passed, report.closing_line()
    assert report.resumes == {"a": 0, "b": 1}


async def test_cut_streams_resume_and_a_kill_from_outside_is_noticed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with LocalMesh(2) as mesh:
        reach = MeshReach.of_local(mesh)
        cut = await RestartResume(reach, CutStreams(), PlainProgress(sys.stdout), messages=100).run()
        assert cut.passed, cut.closing_line()

        scenario = RestartResume(reach, KilledFromOutside(ready), PlainProgress(sys.stdout), messages=100)
        running = asyncio.create_task(scenario.run())
        await _appears(ready, running)
        await restart(mesh, 1)
        report = await running
    assert report.passed, report.closing_line()
    assert report.resumes == {"a": 0, "b": 1}


async def test_a_node_that_stood_still_and_lost_nothing_broke_no_promise(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with LocalMesh(2) as mesh:
        scenario = RestartResume(MeshReach.of_local(mesh), KilledFromOutside(ready), PlainProgress(sys.stdout), messages=100)
        running = asyncio.create_task(scenario.run())
        await _appears(ready, running)
        os.kill(mesh.nodes[1].pid, signal.SIGSTOP)
        await asyncio.sleep(STILL_S)
        os.kill(mesh.nodes[1].pid, signal.SIGCONT)
        report = await running
    assert report.passed, report.closing_line()
    assert report.resumes == {"a": 0, "b": 0}
    assert "no path lost, an app was silent for" in report.steps[4].detail
    assert max(report.longest_pause_s.values()) > STILL_S - 1
    assert "longest pause of a" in report.closing_line()


async def test_a_check_to_which_nothing_was_done_has_proven_nothing(tmp_path: Path) -> None:
    async with LocalMesh(2) as mesh:
        killer = KilledFromOutside(tmp_path / "ready")
        scenario = RestartResume(
            MeshReach.of_local(mesh), killer, PlainProgress(sys.stdout), messages=100, restart_timeout_s=2.0
        )
        report = await scenario.run()
    assert not report.passed
    assert report.exit_code == EXIT_UNPROVEN
    assert re.match(
        r"UNPROVEN restart-resume: nothing was noticed to happen within 2 s: no path was lost, "
        r"no app was silent for longer than \d\.\d s; nothing is proven, though every promise was kept: "
        r"8/9 steps, \d+ messages, 0 lost, 0 duplicated, 0 reordered",
        report.closing_line(),
    )
    assert report.steps[-1].outcome == "passed"


async def test_a_check_in_which_messages_hang_is_a_failure_though_nothing_was_noticed_in_time(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with LocalMesh(2) as mesh:
        scenario = RestartResume(
            MeshReach.of_local(mesh), KilledFromOutside(ready), PlainProgress(sys.stdout), messages=100, restart_timeout_s=2.0
        )
        running = asyncio.create_task(scenario.run())
        await _appears(ready, running)
        os.kill(mesh.nodes[1].pid, signal.SIGSTOP)
        report = await running
        os.kill(mesh.nodes[1].pid, signal.SIGCONT)
    assert report.exit_code == EXIT_BROKEN_PROMISE
    assert report.closing_line().startswith("FAIL restart-resume: step 6 chat resumes: not done after 2 s")


async def test_messages_flow_through_a_rolling_restart(tmp_path: Path) -> None:
    ready, stop = tmp_path / "ready", tmp_path / "stop"
    async with LocalMesh(2, settings={"cleanup": {"drain_timeout_s": 0.2}}) as mesh:
        soak = Soak(
            MeshReach.of_local(mesh),
            PlainProgress(sys.stdout),
            KilledFromOutside(ready, stop),
            duration_s=DEADLINE_S,
            pairs=2,
            min_resumes=4,
        )
        running = asyncio.create_task(soak.run())
        await _appears(ready, running)
        for index in (1, 0):
            await mesh.stop(index)
            await mesh.start(index)
            await _resumed(soak, at_least=2 if index else 4)
        stop.touch()
        report = await running
    assert report.passed, report.closing_line()
    assert set(report.longest_pause_s) == {"a1", "b1", "a2", "b2"}


async def test_a_soak_in_which_nothing_was_restarted_does_not_count_as_one(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    async with LocalMesh(1) as mesh:
        flow = KilledFromOutside(None, stop)
        report = await Soak(MeshReach.of_local(mesh), PlainProgress(sys.stdout), flow, duration_s=5, min_resumes=1).run()
    assert report.exit_code == EXIT_UNPROVEN
    assert report.closing_line().startswith("UNPROVEN soak: only 0 resumes seen, at least 1 expected; nothing is proven")


async def _appears(path: Path, running: asyncio.Task[object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not path.exists():  # noqa: ASYNC240 - a file has no event
            assert not running.done(), running.result()
            await asyncio.sleep(0.02)


async def _resumed(soak: Soak, *, at_least: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while soak.resumes < at_least:  # noqa: ASYNC110 - counted by the soak, not announced
            await asyncio.sleep(0.02)
