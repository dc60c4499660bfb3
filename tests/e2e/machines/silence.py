"""A chat that is busy while something befalls a machine: nothing may be lost, and each app says how long it heard nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.e2e.machines.place import keep_from_harm
from tests.e2e.phases.context import holds
from tests.e2e.phases.hermesctl import require_clean_verdict
from tests.e2e.phases.soak_job import SoakJob

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

READY_S = 180.0
_PAUSE = re.compile(r"longest pause of (\w+) ([\d.]+) s")


def read_silences(verdict: str) -> dict[str, float]:
    """Return app → seconds of its longest silence, from a scenario's closing line."""
    return {app: float(seconds) for app, seconds in _PAUSE.findall(verdict)}


def tell_silences(verdict: str) -> str:
    """Return them in words."""
    told = ", ".join(f"{app} {seconds:.1f} s" for app, seconds in read_silences(verdict).items())
    return f"silent at most: {told}" if told else "no silence was measured"


def under_chat(run: Run, event: Callable[[], str], *, log: str, min_resumes: int = 0) -> str:
    """Let `event` happen under a busy chat, wait until the mesh is whole again; returns what both have to tell."""
    with SoakJob(run, min_resumes=min_resumes, adapt=keep_from_harm, log=log) as soak:
        soak.await_flow()
        told = event()
        run.await_mesh("Ready again", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
        verdict = require_clean_verdict(soak.stop())
    return f"{told}; {tell_silences(verdict)}"
