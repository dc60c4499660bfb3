#!/usr/bin/env python3
"""Proof that the local cluster does what the end-to-end tests lean on; `smoke.py [TIMES]` runs all of it, up to down.

Uses no code of the project: it fails only for the harness's own faults.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.harness.errors import HarnessError, RefusedError
from tests.e2e.harness.faults import await_restart, kill_container
from tests.e2e.harness.leftovers import find_leftovers
from tests.e2e.harness.local_cluster import LocalCluster
from tests.e2e.harness.monitoring import pod_scrape_config, start_alertmanager, start_prometheus
from tests.e2e.harness.progress import phase, say
from tests.e2e.harness.versions import BASE_IMAGE
from tests.e2e.harness.wait import until

NAMESPACE = "smoke"
LABELS = {"app": "smoke"}
SEE_POD = f"kubectl describe pods -n {NAMESPACE}"

# Serves one metric and, at /boots, how often it was started on this volume. It answers not-ready for its
# first seconds in pod 1 only, for the lookup of a pod that is not ready yet.
SERVER = """
import http.server, pathlib, sys
boots = pathlib.Path("/data/boots"); boots.open("a").write("x")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b"smoke_up 1\\n" if self.path == "/metrics" else str(len(boots.read_text())).encode())
print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def _service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": LABELS, "ports": ports, **spec},
    }


def _stateful_set() -> dict[str, Any]:
    pod = {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": True},
        "containers": [
            {
                "name": "server",
                "image": BASE_IMAGE,
                "imagePullPolicy": "Never",
                "command": ["python3", "-c", SERVER],
                "ports": [{"name": "metrics", "containerPort": 8080}],
                "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            },
            # Never ready, so that the whole pod is not, in the one pod whose name ends in -1.
            {
                "name": "gate",
                "image": BASE_IMAGE,
                "imagePullPolicy": "Never",
                "command": ["python3", "-c", "import signal; signal.pause()"],
                "readinessProbe": {"exec": {"command": ["sh", "-c", "case $HOSTNAME in *-1) exit 1; esac"]}},
            },
        ],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "smoke", "namespace": NAMESPACE},
        "spec": {
            "serviceName": "peers",
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def _deploy(cluster: LocalCluster) -> None:
    kubectl = cluster.kubectl
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl.apply(
        _service("peers", clusterIP="None", publishNotReadyAddresses=True),
        _service("front"),
        _stateful_set(),
    )
    kubectl.wait_pod_ready(NAMESPACE, "smoke-0")


def _resolve_unready_peer(cluster: LocalCluster) -> None:
    def resolved() -> bool:
        looked_up = cluster.kubectl.attempt(
            "exec", "-n", NAMESPACE, "smoke-0", "-c", "server", "--", "getent", "hosts", f"smoke-1.peers.{NAMESPACE}"
        )
        return "10.244." in looked_up.stdout

    until("a name for the pod that is not ready", resolved, within_s=20.0, cure="read coredns.log")


def _fetch_from_pod(cluster: LocalCluster, url: str) -> str:
    program = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
    return cluster.kubectl.exec(NAMESPACE, "smoke-0", "python3", "-c", program, container="server").strip()


def _reach_service(cluster: LocalCluster) -> None:
    def reached() -> bool:
        try:
            return _fetch_from_pod(cluster, f"http://front.{NAMESPACE}/boots") == "1"
        except HarnessError:
            return False

    until("an answer through the ClusterIP service", reached, within_s=20.0, cure="read kube-proxy.log")


def _kill_and_keep_volume(cluster: LocalCluster) -> None:
    before = kill_container(cluster, NAMESPACE, "smoke-0", "server")
    await_restart(cluster, NAMESPACE, "smoke-0", "server", before=before)
    boots = _fetch_from_pod(cluster, "http://127.0.0.1:8080/boots")
    if boots != "2":
        raise HarnessError(f"the volume counts {boots} starts, not 2", "look at the provisioner")


def _forward_and_log(cluster: LocalCluster) -> None:
    if "serving" not in cluster.kubectl.run("logs", "-n", NAMESPACE, "smoke-0", "-c", "server"):
        raise HarnessError("kubectl logs shows nothing", SEE_POD)
    forward = cluster.kubectl.start(["port-forward", "-n", NAMESPACE, "pod/smoke-0", "--address=127.0.0.1", ":8080"])
    try:
        assert forward.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        if found is None:
            raise HarnessError("kubectl port-forward gives no port", SEE_POD)
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/boots", timeout=5.0) as answer:
            answer.read()
    finally:
        forward.terminate()
        forward.communicate(timeout=10.0)


def _watch(cluster: LocalCluster) -> None:
    rules = cluster.run_dir.conf / "smoke-rules.json"
    rule = {"alert": "SmokeUp", "expr": "smoke_up == 1"}
    rules.write_text(json.dumps({"groups": [{"name": "smoke", "rules": [rule]}]}))
    alertmanager = start_alertmanager(cluster.run_dir)
    scrape = pod_scrape_config(cluster, NAMESPACE)
    prometheus = start_prometheus(cluster.run_dir, scrape_configs=[scrape], rule_files=[rules], alertmanager=alertmanager)
    until("a scraped pod", lambda: prometheus.query("smoke_up"), within_s=30.0, cure="read prometheus.log")
    until("an alert", alertmanager.received_alerts, within_s=30.0, cure="read alertmanager.log")
    prometheus.stop()


def _reclaim(cluster: LocalCluster) -> None:
    cluster.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")
    until(
        "removal of the volumes",
        lambda: not any(cluster.run_dir.volumes.iterdir()),
        within_s=60.0,
        cure="read provisioner.log",
    )


def smoke() -> None:
    """One whole life of a cluster."""
    cluster = LocalCluster()
    began: list[bool] = []
    cluster.up(lambda: began.append(True))
    if not began:
        raise RefusedError("a local cluster is up, and not ours to end", "run `make e2e-down CLUSTER=local` first")
    try:
        for step in (
            _deploy,
            _resolve_unready_peer,
            _reach_service,
            _kill_and_keep_volume,
            _forward_and_log,
            _watch,
            _reclaim,
        ):
            with phase(step.__name__.strip("_").replace("_", " ")):
                step(cluster)
    finally:
        cluster.down()
    left = find_leftovers(cluster.looks())
    if left:
        raise HarnessError(f"left behind: {', '.join(left)}", "see teardown.py")


def main() -> int:
    """Run the smoke test as often as asked."""
    try:
        for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
            smoke()
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say("smoke test passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
