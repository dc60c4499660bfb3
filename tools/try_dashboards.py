"""Watch a real local mesh with a real Prometheus while a node is killed, then ask it everything the dashboards ask.

`python -m tools.try_dashboards` needs `prometheus` (Debian's package). There is no operator here: what only it can answer is
asked in the end-to-end test instead. `--hold` keeps mesh and Prometheus up, to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hermes_client.scenario.kill import KillLocalNode
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.scenario.progress import choose_progress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.restart_resume import RestartResume
from tools import dashboard_queries
from tools.generate_alerts import RULES
from tools.generated_files import ROOT
from tools.prometheus_config import Target, build_config, static_scrape_config
from tools.yaml_text import dump_yaml

NODES: Final = 3
READY_S: Final = 30.0
SCRAPE_S: Final = 1.0
OPERATOR: Final = "hermes_operator_"
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Prometheus:
    """A Prometheus process of our own, on a free port, with its data in `folder`."""

    def __init__(self, program: str, folder: Path, config: dict[str, Any]) -> None:
        path = folder / "prometheus.yaml"
        path.write_text(dump_yaml(config))
        self.url = f"http://127.0.0.1:{_free_port()}"
        command = [program, f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}"]
        command.append(f"--web.listen-address={urllib.parse.urlsplit(self.url).netloc}")
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)  # noqa: S603 - our own arguments

    def ask(self, path: str, **query: str) -> Any:
        with _OPEN(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.loads(answer.read())["data"]

    async def wait_ready(self) -> None:
        async with asyncio.timeout(READY_S):
            while True:
                with suppress(urllib.error.URLError, ConnectionError), _OPEN(f"{self.url}/-/ready", timeout=2):
                    return
                await asyncio.sleep(0.1)

    async def wait_scraped(self, nodes: int, since_s: float) -> None:
        """Until every node was scraped, and every rule evaluated, after this time (Unix seconds)."""
        fresh = f"count(timestamp(up == 1) > {since_s:.3f}) == {nodes}"
        async with asyncio.timeout(READY_S):
            while not self.ask("/api/v1/query", query=fresh)["result"]:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.2)
        await asyncio.sleep(2 * SCRAPE_S)  # one evaluation of the rules on what was scraped

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_empty(prometheus: Prometheus) -> list[str]:
    """Panels whose query returns nothing or no number, those apart that only an operator feeds."""
    empty, asked = [], 0
    for query in dashboard_queries.queries(mesh="local", rate_interval="30s"):
        if OPERATOR in query.expr or "hermes-operator" in query.expr:
            continue
        asked += 1
        samples = prometheus.ask("/api/v1/query", query=query.expr)["result"]
        if all(sample["value"][1] == "NaN" for sample in samples):
            empty.append(f"{query.panel} ({query.ref_id}): {query.expr}")
    sys.stdout.write(f"{asked} queries asked, {asked - len(empty)} have data\n")
    return empty


def find_sick_rules(prometheus: Prometheus) -> list[str]:
    groups = prometheus.ask("/api/v1/rules")["groups"]
    return [f"rule {r['name']}: {r['lastError']}" for group in groups for r in group["rules"] if r["health"] != "ok"]


def find_firing(prometheus: Prometheus) -> list[str]:
    alerts = prometheus.ask("/api/v1/alerts")["alerts"]
    return [f"alert {a['labels']['alertname']} fires" for a in alerts if a["state"] == "firing"]


async def watch(program: str, folder: Path, *, rounds: int, hold: bool) -> list[str]:
    """What went wrong, in words; nothing when all is well."""
    async with LocalMesh(NODES) as mesh:
        scrape = static_scrape_config([Target(node.admin, node.node_id) for node in mesh.nodes])
        prometheus = Prometheus(program, folder, build_config([scrape], [str(ROOT / RULES)], interval=f"{SCRAPE_S:.0f}s"))
        try:
            await prometheus.wait_ready()
            await prometheus.wait_scraped(NODES, since_s=0)
            for turn in range(rounds):
                killer = KillLocalNode(mesh, (0, NODES - 1)[turn % 2])
                report = await RestartResume(MeshReach.of_local(mesh), killer, choose_progress(sys.stdout)).run()
                if not report.passed:
                    return ["the scenario failed"]
                await prometheus.wait_scraped(NODES, since_s=time.time())
            if hold:
                sys.stdout.write(f"Prometheus: {prometheus.url}; end with Ctrl-C\n")
                await asyncio.Event().wait()
            return find_empty(prometheus) + find_sick_rules(prometheus) + find_firing(prometheus)
        finally:
            prometheus.stop()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.try_dashboards", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often the scenario runs (default 2)")
    parser.add_argument("--hold", action="store_true", help="keep everything up after the scenario, until Ctrl-C")
    given = parser.parse_args(arguments)
    program = shutil.which("prometheus")
    if program is None:
        sys.stderr.write("prometheus is missing; install it: apt-get install prometheus\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="hermes-dashboards-") as folder, suppress(KeyboardInterrupt):
        wrong = asyncio.run(watch(program, Path(folder), rounds=given.rounds, hold=given.hold))
        sys.stdout.writelines(f"{line}\n" for line in wrong)
        return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
