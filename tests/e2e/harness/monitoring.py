"""Prometheus and Alertmanager as host processes that watch the pods of a cluster, whichever kind it is.

They are recorded in the run folder like every other process, so `down` ends them even if the test does not.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import HarnessError
from .ports import free_port
from .processes import Processes
from .scrape_targets import REFRESH_INTERVAL, start_scrape_targets
from .wait import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .cluster import Cluster
    from .paths import RunDir

START_S = 30.0
SCRAPE_INTERVAL = "1s"  # tests wait for a scrape; production intervals would make them slow
EVALUATION_INTERVAL = "1s"

Json = dict[str, Any]


@dataclass(frozen=True)
class Monitor:
    """A running Prometheus or Alertmanager."""

    name: str
    url: str
    run_dir: RunDir

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON answer of the HTTP interface."""
        address = f"{self.url}{path}"
        if query:
            address += "?" + urllib.parse.urlencode(query)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=5.0) as answer:
            return json.loads(answer.read() or b"null")

    def query(self, expression: str) -> list[Json]:
        """Return the samples of an instant query (Prometheus)."""
        result: list[Json] = self.get("/api/v1/query", query=expression)["data"]["result"]
        return result

    def alerts(self) -> list[Json]:
        """Return pending and firing alerts (Prometheus)."""
        alerts: list[Json] = self.get("/api/v1/alerts")["data"]["alerts"]
        return alerts

    def rules(self) -> list[Json]:
        """Return the rule groups with the health of each rule (Prometheus)."""
        groups: list[Json] = self.get("/api/v1/rules")["data"]["groups"]
        return groups

    def received_alerts(self) -> list[Json]:
        """Return the alerts that have arrived (Alertmanager)."""
        alerts: list[Json] = self.get("/api/v2/alerts")
        return alerts

    def stop(self) -> None:
        """End the process."""
        Processes(self.run_dir).stop(self.name)


def pod_scrape_config(cluster: Cluster, namespace: str, job: str = "hermes", port_name: str = "metrics") -> Json:
    """Return a scrape configuration for the pods of a namespace that have a port of that name, now and later."""
    targets = start_scrape_targets(cluster.run_dir, cluster.kubectl, namespace, port_name)
    return {
        "job_name": job,
        "scrape_interval": SCRAPE_INTERVAL,
        "scrape_timeout": SCRAPE_INTERVAL,
        "file_sd_configs": [{"files": [str(targets)], "refresh_interval": REFRESH_INTERVAL}],
    }


def start_prometheus(
    run_dir: RunDir,
    *,
    scrape_configs: Sequence[Json],
    rule_files: Sequence[Path] = (),
    alertmanager: Monitor | None = None,
) -> Monitor:
    """Start Prometheus on a free port and return it once it is ready."""
    target = urllib.parse.urlsplit(alertmanager.url).netloc if alertmanager else None
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": EVALUATION_INTERVAL},
        "scrape_configs": list(scrape_configs),
        "rule_files": [str(path.resolve()) for path in rule_files],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]} if target else {},
    }
    path = run_dir.conf / "prometheus.json"
    path.write_text(json.dumps(config, indent=1))
    address = f"127.0.0.1:{free_port()}"
    argv = [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={run_dir.root / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    return _start(run_dir, "prometheus", argv, address)


def start_alertmanager(run_dir: RunDir, *, config: Json | None = None) -> Monitor:
    """Start Alertmanager on a free port; without a configuration it only collects alerts."""
    path = run_dir.conf / "alertmanager.json"
    path.write_text(json.dumps(config or {"route": {"receiver": "kept"}, "receivers": [{"name": "kept"}]}))
    address = f"127.0.0.1:{free_port()}"
    argv = [
        "prometheus-alertmanager",
        f"--config.file={path}",
        f"--storage.path={run_dir.root / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",  # alone: no gossip port
    ]
    return _start(run_dir, "alertmanager", argv, address)


def _start(run_dir: RunDir, name: str, argv: list[str], address: str) -> Monitor:
    if not run_dir.conf.is_dir():
        raise HarnessError(f"{name} lives in the run folder of a cluster", "run `cluster.py up` first")
    processes = Processes(run_dir)
    if processes.alive(name):
        raise HarnessError(f"{name} runs already", "call its stop() first")
    processes.start(name, argv)
    monitor = Monitor(name, f"http://{address}", run_dir)

    def ready() -> bool:
        processes.require_alive(name)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{monitor.url}/-/ready", timeout=2.0):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    until(f"{name} readiness", ready, within_s=START_S, cure=f"read {processes.log(name)}")
    return monitor
