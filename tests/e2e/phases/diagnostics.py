"""What a person needs after a failure: pods, events, meshes, logs of operator and nodes; kept in files, the ends printed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.e2e.harness.progress import say
from tests.e2e.phases.context import CONTAINER, NAMESPACES, OPERATOR_NAMESPACE

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.e2e.phases.context import Run

TAIL = 12
CLUSTER_LOGS = "cluster-logs"
UNREADABLE = "unable to retrieve container logs"  # what kubelet answers, as if it were the log
STATE = {
    "pods.txt": ("get", "pods", "-A", "-o", "wide"),
    "events.txt": ("get", "events", "-A", "--sort-by=.metadata.resourceVersion"),
    "meshes.yaml": ("get", "hermesmeshes", "-A", "-o", "yaml"),
    "workloads.txt": ("get", "statefulsets,deployments,jobs,pvc,pv", "-A", "-o", "wide"),
    "nodes.txt": ("describe", "nodes"),
}


def dump(run: Run) -> None:
    """Write all of it into the run's folder, and print the last lines of what mostly tells the reason."""
    folder = run.out / "failure"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run_in = {name: run.kubectl.attempt(*words, timeout_s=20.0) for name, words in STATE.items()}
    for name, done in run_in.items():
        (folder / name).write_text(done.stdout or done.stderr)
    if run_in["pods.txt"].returncode != 0:
        say(f"the cluster does not answer: {run_in['pods.txt'].stderr.strip()[-300:]}")
    _print_tail("pods", [line for line in run_in["pods.txt"].stdout.splitlines() if line.split()[:1] != ["kube-system"]])
    _print_tail("warnings", [line for line in run_in["events.txt"].stdout.splitlines() if " Warning " in line])
    for namespace in NAMESPACES:
        _dump_pods(run, namespace)
    complained = run.cluster.collect_logs(folder / CLUSTER_LOGS)
    (folder / "kube-proxy-complaints.txt").write_text("".join(f"{line}\n" for line in complained))
    _print_tail("what kube-proxy complained of", complained)
    say(f"all of it is in {folder}")


def _dump_pods(run: Run, namespace: str) -> None:
    folder = run.out / "failure"
    for pod in (run.kubectl.get("pods", "-n", namespace) or {"items": []})["items"]:
        name = pod["metadata"]["name"]
        described = run.kubectl.attempt("describe", "pod", "-n", namespace, name).stdout
        (folder / f"{namespace}.{name}.describe.txt").write_text(described)
        log = read_log(run.kubectl.attempt("logs", "-n", namespace, name, "--all-containers"))
        (folder / f"{namespace}.{name}.log").write_text(log)
        earlier = run.kubectl.attempt("logs", "-n", namespace, name, "--all-containers", "--previous")
        if earlier.returncode == 0 and earlier.stdout.strip():
            (folder / f"{namespace}.{name}.previous.log").write_text(read_log(earlier))
        containers = {container["name"] for container in pod["spec"]["containers"]}
        if namespace == OPERATOR_NAMESPACE or CONTAINER in containers:
            _print_tail(f"log of {namespace}/{name}", log.splitlines())


def read_log(told: CompletedProcess[str]) -> str:
    """Return a pod's log, or that it could not be read and where the node's own copy is."""
    if told.returncode == 0 and not told.stdout.startswith(UNREADABLE):
        return told.stdout
    read, answer, rest = told.stdout.partition(UNREADABLE)
    why = (told.stderr.strip() or f"{answer}{rest}".strip())[-300:]
    return f"{read}could not be read through the API server: {why}\nthe copy of the node it ran on is in {CLUSTER_LOGS}/\n"


def _print_tail(title: str, lines: list[str]) -> None:
    if lines:
        say("\n  ".join([f"last lines of {title}:", *lines[-TAIL:]]))
