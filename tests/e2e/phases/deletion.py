"""Deleting the mesh: its story told, its keystores wiped, and nothing of it left in the cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.progress import say
from tests.e2e.harness.wait import until
from tests.e2e.phases.context import MESH, NAMESPACE, NAMESPACES, REPLICAS, SEALED_NAMESPACE, require
from tests.e2e.phases.rolling_restart import mesh_events

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

GONE_S = 200.0  # the operator lets a mesh go after 180 s, wiped or not
# What Kubernetes itself puts into every namespace.
OF_KUBERNETES = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
MANAGED_BY = "app.kubernetes.io/managed-by"
SHOWN_EVENTS = 30


def delete_mesh(run: Run) -> str:
    """Show `kubectl describe`, delete both meshes, and look for anything left: objects, claims, volumes."""
    told = run.kubectl.run("describe", "hm", "-n", NAMESPACE, MESH)
    run.write("describe-hm.txt", told)
    lines = told[told.index("Events:") :].splitlines()
    say("\n  ".join([f"kubectl describe hm {MESH}:", *lines[: SHOWN_EVENTS + 3]]))
    require("MeshReady" in told, "kubectl describe hm does not tell that the mesh was ready", "look at the operator's Events")
    run.note = "deleting the mesh"
    run.kubectl.run("delete", "hm", "-n", NAMESPACE, MESH, f"--timeout={GONE_S:.0f}s", timeout_s=GONE_S + 10.0)
    run.kubectl.attempt("delete", "hm", "-n", SEALED_NAMESPACE, "--all", f"--timeout={GONE_S:.0f}s", timeout_s=GONE_S + 10.0)
    run.kubectl.attempt("delete", "secret", "-n", SEALED_NAMESPACE, "--all")
    wiped = [event["reason"] for event in mesh_events(run)].count("KeystoreWiped")
    require(wiped == REPLICAS, f"{wiped} of {REPLICAS} keystores were wiped", f"kubectl get events -n {NAMESPACE}")
    for namespace in (NAMESPACE, SEALED_NAMESPACE):
        _await_nothing(run, namespace)
    return f"{wiped} keystores wiped; no object, claim or volume left"


def _await_nothing(run: Run, namespace: str) -> None:
    def gone() -> bool:
        left = list_objects(run, namespace) + list_volumes(run)
        run.note = f"left in {namespace}: {', '.join(left)}"
        return not left

    what, cure = f"removal of everything in {namespace}", f"kubectl get all,configmaps,secrets,pvc,pv -n {namespace}"
    try:
        until(what, gone, within_s=GONE_S, cure=cure, poll_s=0.5)
    except HarnessError as error:
        raise HarnessError(f"{error.problem} ({run.note})", error.cure) from None


def list_objects(run: Run, namespace: str) -> list[str]:
    """Return every object in a namespace as Kind/name, but for Events, the chart's, and what Kubernetes puts there."""
    kinds = run.kubectl.run("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name").split()
    wanted = sorted(kind for kind in kinds if not kind.startswith("events"))
    found = json.loads(run.kubectl.run("get", ",".join(wanted), "-n", namespace, "-o", "json", "--ignore-not-found") or "{}")
    items = [item for item in found.get("items", []) if item["metadata"].get("labels", {}).get(MANAGED_BY) != "Helm"]
    names = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
    return sorted(names - OF_KUBERNETES)


def list_volumes(run: Run) -> list[str]:
    """Return the volumes of the namespaces of this run."""
    volumes = (run.kubectl.get("pv") or {"items": []})["items"]
    return [
        f"PersistentVolume/{volume['metadata']['name']}"
        for volume in volumes
        if volume["spec"].get("claimRef", {}).get("namespace") in NAMESPACES
    ]
