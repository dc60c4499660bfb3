"""Prometheus watches mesh and operator as the delivered monitors and rules tell it to; what it saw is judged later."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.e2e.harness.monitoring import pod_scrape_config, start_prometheus
from tests.e2e.harness.processes import Processes
from tests.e2e.harness.wait import until
from tests.e2e.phases.context import MESH, NAMESPACE, OPERATOR_NAMESPACE, RELEASE, REPLICAS, require
from tests.e2e.phases.monitoring_api import rule_file, scrape_configs
from tests.e2e.phases.runner import SkipPhase

if TYPE_CHECKING:
    from tests.e2e.harness.cluster import Cluster
    from tests.e2e.harness.monitoring import Monitor
    from tests.e2e.harness.paths import RunDir
    from tests.e2e.phases.context import Run

SCRAPED_S = 60.0
UNREACHABLE = "a Prometheus on this machine does not reach the pods of such a cluster"


def start_monitoring(run: Run) -> str:
    """Start Prometheus with the PodMonitors and the PrometheusRule that chart and operator put into the cluster."""
    cluster = run.cluster
    if not cluster.pods_reachable_from_host:
        raise SkipPhase(UNREACHABLE)
    rules = run.kubectl.get("prometheusrule", "-n", OPERATOR_NAMESPACE, RELEASE)
    require(rules, "the chart delivered no PrometheusRule", "look at templates/prometheusrule.yaml")
    path = run.write("rules.json", json.dumps(rule_file(rules or {}), indent=1))
    stop_monitoring(cluster.run_dir)
    run.prometheus = start_prometheus(cluster.run_dir, scrape_configs=list(_configs(run, cluster)), rule_files=[path])
    _await_targets(run.prometheus)
    groups = run.prometheus.rules()
    return f"{sum(len(group['rules']) for group in groups)} rules, {len(_targets(run.prometheus))} targets"


def _configs(run: Run, cluster: Cluster) -> Iterator[dict[str, Any]]:
    for namespace, name in ((OPERATOR_NAMESPACE, RELEASE), (NAMESPACE, MESH)):
        monitor = run.kubectl.get("podmonitor", "-n", namespace, name)
        require(monitor, f"no PodMonitor {namespace}/{name}", "look at the chart, or at spec.monitoring of the mesh")
        if monitor:
            yield from scrape_configs(monitor, pod_scrape_config(cluster, namespace))


def _await_targets(prometheus: Monitor) -> None:
    expected = {("hermes-node", f"{MESH}-{n}") for n in range(REPLICAS)}

    def all_up() -> bool:
        up = _targets(prometheus)
        jobs = [job for job, _ in up]
        return expected <= set(up) and "hermes-operator" in jobs

    until("a scrape of every node and the operator", all_up, within_s=SCRAPED_S, cure="query `up`, read prometheus.log")


def _targets(prometheus: Monitor) -> list[tuple[str, str]]:
    return [(s["metric"].get("job", ""), s["metric"].get("pod", "")) for s in prometheus.query("up == 1")]


def stop_monitoring(run_dir: RunDir) -> None:
    """End what watches: a run with --keep may have left its Prometheus, which saw another mesh with the same names."""
    processes = Processes(run_dir)
    for name in processes.names():
        if name == "prometheus" or name.startswith("targets-"):
            processes.stop(name)
    shutil.rmtree(run_dir.root / "prometheus", ignore_errors=True)


def judge_alerts(run: Run) -> str:
    """After SIGKILL and rolling restart: every rule evaluates, and nothing has fired."""
    prometheus = run.prometheus
    if prometheus is None:
        raise SkipPhase(UNREACHABLE)
    sick = [r["name"] for group in prometheus.rules() for r in group["rules"] if r["health"] != "ok"]
    require(not sick, f"rules that cannot be evaluated: {', '.join(sick)}", "open the rules in Prometheus")
    span = f"{int(time.time() - run.began_s) + 1}s"
    fired = _labels(prometheus, f'max_over_time(ALERTS{{alertstate="firing"}}[{span}])')
    pending = _labels(prometheus, f'max_over_time(ALERTS{{alertstate="pending"}}[{span}])')
    run.write("alerts.txt", "\n".join(["fired:", *fired, "", "pending for a while:", *pending]))
    require(not fired, f"fired during SIGKILL and rolling restart: {'; '.join(fired)}", "a normal restart must fire nothing")
    return f"none fired; pending for a while: {', '.join(sorted({p.split()[0] for p in pending})) or 'none'}"


def _labels(prometheus: Monitor, query: str) -> list[str]:
    samples = [sample["metric"] for sample in prometheus.query(query)]
    return sorted(f"{m['alertname']} ({m.get('severity', '?')}, {m.get('mesh', '')} {m.get('pod', '')})" for m in samples)
