"""A machine stands still and goes on: whether anybody lost a path or not, every message arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.e2e.machines.place import FIRST, machine_of, machines
from tests.e2e.machines.silence import READY_S, read_silences, tell_silences
from tests.e2e.phases.context import MESH, NAMESPACE, holds, require
from tests.e2e.phases.hermesctl import Hermesctl, require_clean_verdict

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

FROZEN_S = 30.0
START_S = 120.0
SCENARIO_S = 240.0


def freeze_machine(run: Run) -> str:
    """Freeze the first app's machine under `hermesctl check`, which judges by promises kept."""
    machine = machine_of(run, FIRST)
    run.kubectl.run("cordon", machine)  # the check's own pod must not stand still with it
    try:
        words = ("check", "--mesh", MESH, "-n", NAMESPACE, "--kill", "external")
        with Hermesctl(run, words, "freeze-check.log") as check:
            check.await_line("READY", within_s=START_S)
            machines(run).freeze(machine)
            try:
                time.sleep(FROZEN_S)  # the fault itself: nothing is waited for
            finally:
                machines(run).thaw(machine)
            check.await_success(within_s=SCENARIO_S)
            verdict = require_clean_verdict(check.verdict())
            seen = next((line.partition(" s  ")[2] for line in check.lines if "kill a node" in line), "")
    finally:
        run.kubectl.run("uncordon", machine)
    longest_s = max(read_silences(verdict).values(), default=0.0)
    require(longest_s > FROZEN_S / 2, f"nobody was silent for longer than {longest_s:.1f} s", "was the machine frozen at all?")
    run.await_mesh("Ready after the freeze", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
    return f"{machine} stood still for {FROZEN_S:.0f} s ({seen}); {tell_silences(verdict)}"
