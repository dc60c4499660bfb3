"""The soak in small: it runs, counts, leaves nothing, and finds what is broken on purpose."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_UNPROVEN
from tests.soak.plan import KINDS

DEADLINE_S = 240
SMALL = ("--nodes", "3", "--apps", "6", "--chats", "9", "--seed", "7")

pytestmark = pytest.mark.timeout(DEADLINE_S + 30)


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.soak", *SMALL, "--out", str(out), "--keep", str(out / "run"), *arguments]


def soak(out: Path, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = run(command(out, *arguments), environment)
    assert (out / "soak.json").exists(), done.stdout + done.stderr
    return done, json.loads((out / "soak.json").read_text())


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """To its end; one that takes too long is interrupted, so that it ends its own processes."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=pipe, stderr=pipe, text=True)
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def running(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append(line.decode(errors="replace"))
    return found


def test_a_short_soak_keeps_every_promise_and_its_page_has_the_figures(tmp_path: Path) -> None:
    done, report = soak(tmp_path, "--seconds", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS soak, seed 7: ")
    assert report["violations"] == report["stuck"] == []
    assert report["messages"] > 200
    assert report["effective_faults"] >= len(KINDS) // 2, "of most kinds one at least, however busy the machine is"
    page = (tmp_path / "soak.md").read_text()
    for kind in KINDS:
        assert f"| {kind} |" in page
    for heading in ("## Faults", "## Messages a minute", "## Longest silences", "## How chats ended"):
        assert heading in page
    assert running(tmp_path) == []


@pytest.mark.parametrize(("broken", "word"), [("drop-message", "lost"), ("double-message", "doubled")])
def test_a_soak_finds_what_a_transport_breaks(tmp_path: Path, broken: str, word: str) -> None:
    done, report = soak(tmp_path, "--seconds", "4", "--rate", "5", "--kinds", "stream-cut", SOAK_BREAK=broken)
    assert done.returncode == EXIT_BROKEN_PROMISE, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("FAIL soak, seed 7: ")
    assert any(word in text for text in report["violations"]), report["violations"]


def test_a_soak_whose_faults_had_no_effect_proves_nothing(tmp_path: Path) -> None:
    done, report = soak(
        tmp_path, "--seconds", "1", "--kinds", "nodes-hole,stream-cut", "--nodes", "1", "--apps", "2", "--chats", "1"
    )
    assert done.returncode == EXIT_UNPROVEN, done.stdout + done.stderr
    assert report["kinds"]["nodes-hole"]["effective"] == 0
    assert "nodes-hole never took effect" in done.stdout.splitlines()[-1]


def test_a_soak_that_is_interrupted_leaves_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path, "--seconds", "600"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    deadline = time.monotonic() + DEADLINE_S
    while "faults begin" not in process.stdout.readline():
        assert time.monotonic() < deadline
    assert len(running(tmp_path)) > 9 // 2, "it, nodes and apps; some may be killed just then"
    for _ in range(2):  # whoever is impatient leaves no process either
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search("interrupted; every process was ended", errors)
    assert running(tmp_path) == []


def test_the_measurement_of_a_lost_home_in_small(tmp_path: Path) -> None:
    """Node and apps at once; the figures themselves are a machine's, and no test's."""
    small = ("--harm", "both", "--chats", "8", "--apps", "2", "--peers", "2", "--patience", "1.5", "--rate", "2")
    measure = [sys.executable, "-m", "tests.soak.loss", *small, "--out", str(tmp_path / "loss.json")]
    done = run(measure, {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "loss.json").read_text())
    assert (report["went_on"], report["violations"], report["stuck"]) == (8, [], 0)
    assert 0.0 < report["half_within"] <= report["all_within"]
    assert report["patience_median"] > 0.7 * 1.5
    assert re.match(r"both: 8 of 8 chats of 2 apps went on; after the patience", done.stdout.splitlines()[-1])
    assert running(tmp_path) == []


def test_unknown_kinds_and_breaks_are_refused(tmp_path: Path) -> None:
    for arguments, environment, told in (
        (("--kinds", "earthquake"), {}, "unknown kind of fault earthquake"),
        ((), {"SOAK_BREAK": "everything"}, "use one of drop-message, double-message, swap-messages"),
    ):
        done = subprocess.run(
            command(tmp_path, *arguments), env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == EXIT_UNPROVEN
        assert told in done.stderr
