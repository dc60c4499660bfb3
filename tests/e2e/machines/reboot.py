"""A machine reboots under a busy chat: its node opens the same keystore and resumes the same chats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.e2e.harness.faults import container_status
from tests.e2e.harness.wait import until
from tests.e2e.machines.place import FIRST, machine_of, machines
from tests.e2e.machines.silence import under_chat
from tests.e2e.phases.context import CONTAINER, NAMESPACE, require

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

BACK_S = 180.0


def reboot_machine(run: Run) -> str:
    """Reboot the first app's machine."""

    def event() -> str:
        machine, before = machine_of(run, FIRST), run.kubectl.wait_pod_ready(NAMESPACE, FIRST)
        restarts = container_status(before, CONTAINER)["restartCount"]
        since = time.monotonic()
        machines(run).reboot(machine)

        def back() -> bool:
            pod = run.kubectl.get("pod", "-n", NAMESPACE, FIRST) or {}
            status = container_status(pod, CONTAINER)
            run.note = f"{machine} rebooted {time.monotonic() - since:.0f} s ago"
            return bool(status.get("restartCount", 0) > restarts and status.get("ready"))

        until(
            f"{FIRST} after the reboot of {machine}", back, within_s=BACK_S, cure=f"kubectl describe node {machine}", poll_s=0.5
        )
        after = run.kubectl.wait_pod_ready(NAMESPACE, FIRST)
        require(after["metadata"]["uid"] == before["metadata"]["uid"], f"{FIRST} is another pod", "a reboot evicts nobody")
        return f"{FIRST} was back {time.monotonic() - since:.0f} s after its machine went down"

    return under_chat(run, event, log="reboot-soak.log", min_resumes=1)
