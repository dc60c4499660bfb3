"""The example mesh: applied as it stands in the documentation, until it is Ready."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.phases.context import EXAMPLE, LABEL_MESH, MESH, NAMESPACE, REPLICAS, holds, require
from tests.e2e.phases.hermesctl import Hermesctl

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

READY_S = 180.0
SEEN_S = 60.0
COLUMNS = ("NAME", "READY", "REPLICAS", "EPOCHS RESUMED", "PHASE", "VERSION", "AGE")


def start_mesh(run: Run) -> str:
    """Apply the example into a namespace that enforces `restricted`, and look at what a person would look at."""
    run.kubectl.run("apply", "-n", NAMESPACE, "-f", str(EXAMPLE))
    run.await_mesh("Ready of the mesh", lambda mesh: holds(mesh, "Ready"), within_s=READY_S)
    columns = read_columns(run)
    expected = {"READY": "True", "REPLICAS": f"{REPLICAS}/{REPLICAS}", "PHASE": "Running"}
    wrong = {name: columns.get(name) for name, value in expected.items() if columns.get(name) != value}
    require(not wrong, f"`kubectl get hm` shows {wrong}, not {expected}", "look at status and additionalPrinterColumns")
    require(re.match(r"\d+\.\d+\.\d+", columns["VERSION"]), "`kubectl get hm` shows no version", "look at status.version")
    _require_stateful_pods(run)
    with Hermesctl(run, ("mesh", MESH, "-n", NAMESPACE), "hermesctl-mesh.txt") as seen:
        seen.await_success(within_s=SEEN_S)
    return " ".join(columns.values())


def read_columns(run: Run) -> dict[str, str]:
    """Return the row of the mesh in `kubectl get hm`, by the names of the columns."""
    printed = run.kubectl.run("get", "hm", "-n", NAMESPACE, MESH)
    run.write("get-hm.txt", printed)
    header, row = printed.splitlines()[:2]
    found = tuple(re.split(r"\s{2,}", header.strip()))
    require(found == COLUMNS, f"`kubectl get hm` has the columns {found}, not {COLUMNS}", "compare crds/")
    starts = [header.index(name) for name in COLUMNS]
    ends = [*starts[1:], None]
    return {name: row[a:b].strip() for name, a, b in zip(COLUMNS, starts, ends, strict=True)}


def _require_stateful_pods(run: Run) -> None:
    """Each pod has a bound claim of its own, and none was refused: the namespace enforces `restricted`."""
    pods = (run.kubectl.get("pods", "-n", NAMESPACE, "-l", f"{LABEL_MESH}={MESH}") or {"items": []})["items"]
    names = sorted(pod["metadata"]["name"] for pod in pods)
    require(names == [f"{MESH}-{n}" for n in range(REPLICAS)], f"the pods are {names}", f"kubectl get pods -n {NAMESPACE}")
    claims = (run.kubectl.get("pvc", "-n", NAMESPACE) or {"items": []})["items"]
    bound = sorted(c["metadata"]["name"] for c in claims if c.get("status", {}).get("phase") == "Bound")
    require(bound == [f"keystore-{name}" for name in names], f"bound claims: {bound}", f"kubectl get pvc -n {NAMESPACE}")
