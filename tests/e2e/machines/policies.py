"""NetworkPolicies that are enforced: strangers reach no mesh port, and the mesh works as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_operator import names
from tests.e2e.harness.kind.policy_controller import PolicyController
from tests.e2e.harness.wait import until
from tests.e2e.machines.place import MIDDLE, kind_cluster
from tests.e2e.phases.context import IMAGE, NAMESPACE, holds, require

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

STRANGER = "hermes-e2e-stranger"
STRANGERS_NAMESPACE = "default"
ENFORCED_S = 60.0
READY_S = 120.0
_CONNECT = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
    print("reached")
except OSError:
    print("refused")
"""


def enforce_policies(run: Run) -> str:
    """Start a controller: what a stranger reached before it does not reach any more; the mesh finds itself all the same."""
    _start_stranger(run)
    # Before: what is refused afterwards is refused by the policy, and by nothing else.
    require(_reaches(run, names.MESH_PORT), "a stranger does not reach the mesh port without a policy", "is the network up?")
    _start_controller(run)
    until(
        "refusal of the mesh port to strangers",
        lambda: not _reaches(run, names.MESH_PORT),
        within_s=ENFORCED_S,
        cure=f"kubectl get networkpolicy -n {NAMESPACE} -o yaml",
    )
    require(_reaches(run, names.APP_PORT), "a stranger does not reach the app port", "apps may come from anywhere")
    run.kubectl.run("delete", "pod", "-n", NAMESPACE, MIDDLE)  # its links, all new, have to pass the policy
    run.kubectl.wait_pod_ready(NAMESPACE, MIDDLE, within_s=READY_S)
    run.await_mesh("Ready under the policy", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
    require(not _reaches(run, names.MESH_PORT), "a new pod's mesh port is open to strangers", "read the controller's log")
    run.kubectl.run("delete", "pod", "-n", STRANGERS_NAMESPACE, STRANGER, "--force", "--grace-period=0")
    return "strangers reach the app port and no mesh port; a node that started anew found the mesh"


def _start_controller(run: Run) -> None:
    cluster = kind_cluster(run)
    controller = PolicyController(cluster.cache)
    cluster.load_image(str(controller.ensure()))
    ranges = run.kubectl.get("servicecidr", "kubernetes") or {}
    controller.start(run.kubectl, ",".join(ranges["spec"]["cidrs"]), cluster.nodes)


def _start_stranger(run: Run) -> None:
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": STRANGER, "namespace": STRANGERS_NAMESPACE},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "stranger", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]},
            ],
        },
    }
    run.kubectl.apply(pod)
    run.kubectl.wait_pod_ready(STRANGERS_NAMESPACE, STRANGER, within_s=READY_S)


def _reaches(run: Run, port: int) -> bool:
    address = str(run.kubectl.wait_pod_ready(NAMESPACE, MIDDLE)["status"]["podIP"])
    words = ("exec", "-n", STRANGERS_NAMESPACE, STRANGER, "--", "python3", "-c", _CONNECT, address, str(port))
    answer = run.kubectl.run(*words).strip()
    require(answer in ("reached", "refused"), f"the stranger says {answer!r}", "it must try, whatever comes of it")
    return answer == "reached"
