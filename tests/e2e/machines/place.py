"""Where things are: which machine carries which pod, and Jobs that stay out of harm's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind.machines import Machines
from tests.e2e.harness.kind_cluster import KindCluster
from tests.e2e.phases.context import LABEL_MESH, MESH, NAMESPACE, REPLICAS

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run


FIRST, MIDDLE, LAST = (f"{MESH}-{number}" for number in range(REPLICAS))
"""The scenario's first app is at home on the first node, its second app on the last."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def kind_cluster(run: Run) -> KindCluster:
    """Return the cluster of this run, which has machines and a network of its own."""
    if not isinstance(run.cluster, KindCluster):
        raise HarnessError(f"a {run.cluster.name} cluster has no machines and no network of its own", "use --cluster kind")
    return run.cluster


def machines(run: Run) -> Machines:
    """Return what the machines of this run are harmed with."""
    return Machines(kind_cluster(run).engine)


def machine_of(run: Run, pod: str) -> str:
    """Return the machine that a pod of the mesh runs on."""
    return str(run.kubectl.wait_pod_ready(NAMESPACE, pod)["spec"]["nodeName"])


def machines_of_mesh(run: Run) -> dict[str, str]:
    """Return pod → machine for the nodes of the mesh."""
    selector = f"{LABEL_MESH}={MESH},app.kubernetes.io/component=node"
    pods = (run.kubectl.get("pods", "-n", NAMESPACE, "-l", selector) or {"items": []})["items"]
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in pods}


def keep_from_harm(job: dict[str, Any]) -> dict[str, Any]:
    """Return the Job with its pod on the control plane."""
    pod = job["spec"]["template"]["spec"]
    pod["nodeSelector"] = {CONTROL_PLANE: ""}
    pod["tolerations"] = [{"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}]
    return job
