"""The example mesh on several machines: one node on each, whatever befalls the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tests.e2e.machines.place import machines_of_mesh
from tests.e2e.phases.context import EXAMPLE, NAMESPACE, REPLICAS, holds, require

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

READY_S = 180.0


def spread_mesh(run: Run) -> str:
    """Apply the example: its pods are on as many machines."""
    mesh: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    mesh["metadata"]["namespace"] = NAMESPACE
    run.kubectl.apply(mesh)
    run.await_mesh("Ready of the mesh", lambda found: holds(found, "Ready"), within_s=READY_S)
    where = machines_of_mesh(run)
    require(len(set(where.values())) == REPLICAS, f"the nodes of the mesh are on {where}", "look at the pods' anti-affinity")
    return ", ".join(f"{pod} on {machine}" for pod, machine in sorted(where.items()))
