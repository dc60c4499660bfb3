"""A machine is lost for good, with the volume on it: what the mesh says, that chats go on, how its node comes back empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.machines.place import MIDDLE, keep_from_harm, machine_of, machines
from tests.e2e.machines.silence import READY_S, tell_silences
from tests.e2e.phases.context import NAMESPACE, holds
from tests.e2e.phases.hermesctl import require_clean_verdict
from tests.e2e.phases.soak_job import SoakJob

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

LOST_S = 120.0


def lose_machine(run: Run) -> str:
    """Lose the machine of the node between: chats elsewhere notice nothing, those at home there go on at another node."""
    machine = machine_of(run, MIDDLE)
    with (
        SoakJob(run, min_resumes=0, adapt=keep_from_harm, log="loss-soak-elsewhere.log") as elsewhere,
        SoakJob(run, min_resumes=0, adapt=_at_home_in_the_middle, log="soak-of-the-lost.log") as of_the_lost,
    ):
        elsewhere.await_flow()
        of_the_lost.await_flow()
        machines(run).lose(machine)
        run.kubectl.run("delete", "node", machine)  # what a cloud does for a machine that it knows to be gone
        run.await_mesh("a mesh that says it is not whole", lambda mesh: holds(mesh, "Ready", "False"), within_s=LOST_S)
        _replace(run)
        run.await_mesh("Ready with an empty node", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
        moved = require_clean_verdict(of_the_lost.stop())
        verdict = require_clean_verdict(elsewhere.stop())
    return f"elsewhere {tell_silences(verdict)}; at home there {tell_silences(moved)}"


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
