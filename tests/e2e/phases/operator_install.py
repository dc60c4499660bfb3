"""The chart: installed with helm, and later uninstalled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.harness.commands import attempt, run
from tests.e2e.harness.errors import RefusedError
from tests.e2e.harness.wait import until
from tests.e2e.phases.context import CHART, IMAGE, NAMESPACES, OPERATOR_NAMESPACE, RELEASE, require
from tests.e2e.phases.monitoring_api import monitoring_crds

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run

HELM_TIMEOUT_S = 180.0
READY_S = 120.0
GONE_S = 120.0
CRD = "hermesmeshes.hermesmesh.io"
NEW_POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def install_operator(on: Run) -> str:
    """Install the chart into a clean slate, under the `restricted` Pod Security Standard; returns when it is ready."""
    _clear_earlier_run(on)
    on.kubectl.apply(*[_namespace(name) for name in NAMESPACES])
    if on.cluster.pods_reachable_from_host:
        on.kubectl.apply(*monitoring_crds())  # so that the chart and the operator deliver their monitors and rules
    output = _helm(on, "install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, *_values(on))
    on.write("helm-install.txt", output)
    on.kubectl.run("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
    until(
        "readiness of the operator",
        lambda: _ready_deployments(on),
        within_s=READY_S,
        cure=f"kubectl describe pods -n {OPERATOR_NAMESPACE}",
        poll_s=0.5,
    )
    return f"release {RELEASE} in {OPERATOR_NAMESPACE}"


def uninstall_operator(on: Run) -> str:
    """Uninstall the chart; only what the chart says it keeps may stay."""
    _helm(on, "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--wait")
    require(
        on.kubectl.get("crd", CRD), f"helm uninstall removed the CRD {CRD}", "crds.keep must keep it, and all meshes with it"
    )
    until("removal of everything the chart made", lambda: not _left(on), within_s=GONE_S, cure="kubectl get all -A", poll_s=0.5)
    on.kubectl.run("delete", "namespace", *NAMESPACES, "--timeout=100s", timeout_s=GONE_S)
    _delete_own_crd(on)
    return "only the CRD stayed, as documented"


def foreign_meshes(on: Run) -> list[str]:
    """Return the meshes of this cluster that are not of this run; deleting the CRD would delete them too."""
    meshes = (on.kubectl.get("hermesmesh", "--all-namespaces") or {"items": []})["items"]
    places = [(mesh["metadata"]["namespace"], mesh["metadata"]["name"]) for mesh in meshes]
    return [f"{namespace}/{name}" for namespace, name in places if namespace not in NAMESPACES]


def refuse_foreign_meshes(on: Run) -> None:
    """Fail when the cluster holds meshes that are not of this run."""
    if foreign := foreign_meshes(on):
        raise RefusedError(
            f"this cluster holds meshes of somebody else: {', '.join(foreign)}", "use a cluster that may be filled"
        )


def _delete_own_crd(on: Run) -> None:
    """Delete the CRD only when this release made it and no mesh of somebody else would go with it."""
    made_by = ((on.kubectl.get("crd", CRD) or {}).get("metadata", {}).get("annotations") or {}).get(
        "meta.helm.sh/release-namespace"
    )
    if made_by == OPERATOR_NAMESPACE and not foreign_meshes(on):
        on.kubectl.run("delete", "crd", CRD, "--timeout=60s", timeout_s=70.0)


def release_objects(on: Run) -> list[str]:
    """Return every object that carries the label of the release, as kind/name, but for the CRD."""
    kinds = (
        "deployments,replicasets,pods,services,serviceaccounts,configmaps,roles,rolebindings,"
        "clusterroles,clusterrolebindings,networkpolicies,poddisruptionbudgets,jobs"
    )
    found = on.kubectl.get(kinds, "--all-namespaces", "-l", f"app.kubernetes.io/instance={RELEASE}") or {"items": []}
    return [f"{item['kind']}/{item['metadata']['name']}" for item in found["items"]]


def _left(on: Run) -> list[str]:
    found = release_objects(on)
    on.note = f"left: {', '.join(found)}"
    return found


def _values(on: Run) -> list[str]:
    repository, tag = IMAGE.rsplit(":", 1)
    return [
        *("--set", f"image.repository={repository}"),
        *("--set", f"image.tag={tag}"),
        *("--set", "image.pullPolicy=IfNotPresent"),
        *(word for value in on.chart_values for word in ("--set", value)),
    ]


def _helm(on: Run, *words: str) -> str:
    return run(
        [on.cluster.helm, *words],
        env={"KUBECONFIG": str(on.cluster.kubeconfig)},
        timeout_s=HELM_TIMEOUT_S,
        cure=f"`helm lint {CHART}` and `kubectl get events -n {OPERATOR_NAMESPACE}`",
    )


def _clear_earlier_run(on: Run) -> None:
    """Remove what a run with --keep left behind: the meshes while their operator still runs, then the release."""
    if on.kubectl.get("crd", CRD) is None:
        return
    refuse_foreign_meshes(on)
    on.note = "removing what an earlier run kept"
    for namespace in NAMESPACES:
        on.kubectl.attempt("delete", "hermesmesh", "--all", "-n", namespace, "--timeout=60s", timeout_s=70.0)
        for mesh in (on.kubectl.get("hermesmesh", "-n", namespace) or {"items": []})["items"]:
            name = mesh["metadata"]["name"]
            on.kubectl.attempt(
                *("patch", "hermesmesh", "-n", namespace, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
            )
    attempt(
        [on.cluster.helm, "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--wait", "--ignore-not-found"],
        env={"KUBECONFIG": str(on.cluster.kubeconfig)},
        timeout_s=HELM_TIMEOUT_S,
    )
    _delete_own_crd(on)
    on.kubectl.run("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--timeout=100s", timeout_s=GONE_S)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": NEW_POD_SECURITY}}


def _ready_deployments(on: Run) -> bool:
    listed = on.kubectl.get("deployments", "-n", OPERATOR_NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")
    deployments = (listed or {}).get("items", [])
    on.note = json.dumps([d.get("status", {}).get("readyReplicas", 0) for d in deployments]) + " ready replicas"
    return bool(deployments) and all(
        d.get("status", {}).get("readyReplicas", 0) == d["spec"]["replicas"]
        and d["status"].get("observedGeneration") == d["metadata"]["generation"]
        for d in deployments
    )
