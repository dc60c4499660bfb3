"""What the phases of one run share: the cluster, the names in it, the folder for what is found out, and the live note."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.paths import CHECKOUT
from tests.e2e.harness.wait import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.harness.cluster import Cluster
    from tests.e2e.harness.kubectl import Kubectl, Manifest
    from tests.e2e.harness.monitoring import Monitor

# What the example manifest and the chart name by default: Docker's full form of hermes:dev, which containerd stores.
IMAGE = "docker.io/library/hermes:dev"
CHART = CHECKOUT / "charts" / "hermes-operator"
EXAMPLE = CHECKOUT / "docs" / "examples" / "hermesmesh.yaml"

RELEASE = "hermes-operator"
OPERATOR_NAMESPACE = "hermes-system"
NAMESPACE = "hermes-e2e"  # of the mesh
SEALED_NAMESPACE = "hermes-e2e-sealed"  # of the mesh whose keystores are made unusable
NAMESPACES = (NAMESPACE, SEALED_NAMESPACE, OPERATOR_NAMESPACE)

MESH = "demo"  # as in the example
REPLICAS = 3
CONTAINER = "hermes-node"
LABEL_MESH = "hermesmesh.io/mesh"


@dataclass
class Run:
    """One run. `note` is what the live line shows behind the name of the phase; `chart_values` are KEY=VALUE for helm.

    `built`: the image is there already, of a run before this one. `up`: the cluster is. `owned`: this run began it, and is to
    end it. `refused`: there is one that this run must not touch, so that nothing was begun, collected or written.
    """

    cluster: Cluster
    out: Path
    chart_values: tuple[str, ...] = ()
    built: bool = False
    note: str = ""
    up: bool = False
    owned: bool = False
    refused: bool = False
    prometheus: Monitor | None = None
    began_s: float = field(default_factory=time.time)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at the cluster."""
        return self.cluster.kubectl

    def begin(self) -> None:
        """This run begins the cluster, and is to end it."""
        self.owned = True

    def clear_folder(self) -> None:
        """Forget what the run before found out."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)

    def write(self, name: str, text: str) -> Path:
        """Keep a text in the folder of this run."""
        path = self.out / name
        path.write_text(text if text.endswith("\n") else text + "\n")
        return path

    def mesh(self, name: str = MESH, namespace: str = NAMESPACE) -> Manifest:
        """Return a HermesMesh as the API server has it; empty when it is not there."""
        return self.kubectl.get("hermesmesh", "-n", namespace, name) or {}

    def await_mesh(
        self,
        what: str,
        holds: Callable[[Manifest], bool],
        *,
        within_s: float,
        name: str = MESH,
        namespace: str = NAMESPACE,
    ) -> Manifest:
        """Return the mesh once `holds` says so of it; meanwhile the live line shows its phase and its first trouble."""

        def look() -> Manifest | None:
            mesh = self.mesh(name, namespace)
            self.note = describe_mesh(mesh)
            return mesh if mesh and holds(mesh) else None

        try:
            return until(what, look, within_s=within_s, cure=f"kubectl describe hermesmesh -n {namespace} {name}", poll_s=0.5)
        except HarnessError as error:
            raise HarnessError(f"{error.problem} ({describe_mesh(self.mesh(name, namespace))})", error.cure) from None


def condition(mesh: Manifest, kind: str) -> dict[str, Any]:
    """Return one condition of a HermesMesh; empty when it has none of that type."""
    conditions: list[dict[str, Any]] = mesh.get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})


def holds(mesh: Manifest, kind: str, status: str = "True") -> bool:
    """Say whether a condition speaks of the current generation and has that status."""
    found = condition(mesh, kind)
    current = mesh.get("status", {}).get("observedGeneration") == mesh["metadata"]["generation"]
    return current and found.get("status") == status


def describe_mesh(mesh: Manifest) -> str:
    """Return the state of a mesh in one line."""
    if not mesh:
        return "no such HermesMesh"
    status = mesh.get("status", {})
    rollout = status.get("rollout", {})
    parts = [f"{status.get('replicasReady', '?')} ready", status.get("phase", "not seen by the operator yet")]
    if rollout.get("step", "Idle") != "Idle":
        parts.append(f"{rollout['step']} {rollout.get('pod', '')} {rollout.get('message', '')}".strip())
    degraded = condition(mesh, "Degraded")
    if degraded.get("status") == "True":
        parts.append(f"{degraded['reason']}: {degraded['message']}")
    return ", ".join(parts)[:300]


def require(true: object, problem: str, cure: str) -> None:
    """Fail the phase unless `true`."""
    if not true:
        raise HarnessError(problem, cure)
