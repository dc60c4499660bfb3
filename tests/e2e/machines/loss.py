"""A machine is lost for good, with the volume on it: what the mesh says, who goes on, and how its node comes back empty."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.e2e.machines.place import MIDDLE, keep_from_harm, machine_of, machines
from tests.e2e.machines.silence import READY_S, tell_silences
from tests.e2e.phases.context import NAMESPACE, holds, require
from tests.e2e.phases.hermesctl import require_clean_verdict
from tests.e2e.phases.soak_job import SoakJob

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

LOST_S = 120.0
ENDED_S = 180.0
CLOSED = ("ROUTE_UNAVAILABLE", "RATCHET_FAILED")
"""Why chats end today whose node is lost; that they move is to come."""


def lose_machine(run: Run) -> str:
    """Lose the machine of the node between: chats elsewhere notice nothing, those at home there end and say why."""
    machine = machine_of(run, MIDDLE)
    with (
        SoakJob(run, min_resumes=0, adapt=keep_from_harm, log="loss-soak-elsewhere.log") as elsewhere,
        SoakJob(run, min_resumes=0, adapt=_at_home_in_the_middle, log="soak-of-the-lost.log") as of_the_lost,
    ):
        elsewhere.await_flow()
        of_the_lost.await_flow()
        since = time.monotonic()
        machines(run).lose(machine)
        run.kubectl.run("delete", "node", machine)  # what a cloud does for a machine that it knows to be gone
        run.await_mesh("a mesh that says it is not whole", lambda mesh: holds(mesh, "Ready", "False"), within_s=LOST_S)
        ended = of_the_lost.await_verdict(within_s=ENDED_S)
        require(any(reason in ended for reason in CLOSED), f"a chat of the lost node: {ended}", f"expected one of {CLOSED}")
        closed_s = time.monotonic() - since
        _replace(run)
        run.await_mesh("Ready with an empty node", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
        verdict = require_clean_verdict(elsewhere.stop())
    return f"elsewhere {tell_silences(verdict)}; a chat at home there ended after {closed_s:.0f} s: {ended.rpartition(': ')[2]}"


def _at_home_in_the_middle(job: dict[str, Any]) -> dict[str, Any]:
    """The Job with its first app at home on the node between."""
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    at = command.index("--addresses") + 1
    addresses = command[at].split(",")
    command[at] = ",".join(sorted(addresses, key=lambda address: not address.startswith(f"{MIDDLE}.")))
    return keep_from_harm(job)


def _replace(run: Run) -> None:
    """What a person does today: the claim is bound to a volume that is gone, so claim and pod are deleted and made anew."""
    run.kubectl.run("delete", "pvc", "-n", NAMESPACE, f"keystore-{MIDDLE}", "--wait=false")
    run.kubectl.run("delete", "pod", "-n", NAMESPACE, MIDDLE, "--force", "--grace-period=0", "--wait=false")

    run.kubectl.wait_pod_ready(NAMESPACE, MIDDLE, within_s=READY_S)
