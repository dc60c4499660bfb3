"""What each dashboard asks Prometheus, with the variables filled in; `python -m tools.dashboard_queries` prints JSON lines.

Read from the committed JSON, so that what is asked here is what Grafana asks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.generated_files import ROOT

ALL = ".*"


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel (or annotation, whose answer may be empty). `instant`: one moment, otherwise a range."""

    dashboard: str
    panel: str
    ref_id: str
    expr: str
    instant: bool
    annotation: bool = False


def substitute(expr: str, *, namespace: str = ALL, mesh: str = ALL, pod: str = ALL, rate_interval: str = "1m") -> str:
    """The expression as Grafana sends it."""
    values = {"$__rate_interval": rate_interval, "$namespace": namespace, "$mesh": mesh, "$pod": pod}
    for name, value in values.items():
        expr = expr.replace(name, value)
    return expr


def queries(
    *,
    namespace: str = ALL,
    mesh: str = ALL,
    pod: str = ALL,
    rate_interval: str = "1m",
    annotations: bool = False,
    folder: Path = ROOT / "dashboards",
) -> Iterator[PanelQuery]:
    """Every panel's queries, and those of the annotations when asked for."""

    def filled(expr: str) -> str:
        return substitute(expr, namespace=namespace, mesh=mesh, pod=pod, rate_interval=rate_interval)

    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text())
        uid = document["uid"]
        for panel in panels_of(document):
            for target in panel["targets"]:
                yield PanelQuery(uid, panel["title"], target["refId"], filled(target["expr"]), bool(target.get("instant")))
        if annotations:
            for mark in document["annotations"]["list"]:
                yield PanelQuery(uid, mark["name"], "A", filled(mark["expr"]), instant=False, annotation=True)


def panels_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard's JSON, rows opened."""
    found = []
    for panel in document["panels"]:
        found.append(panel)
        found.extend(panel.get("panels") or [])
    return [panel for panel in found if panel["type"] != "row"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.dashboard_queries", description=__doc__)
    for name in ("namespace", "mesh", "pod"):
        parser.add_argument(f"--{name}", default=ALL, help="a name or regular expression (default: all)")
    parser.add_argument("--rate-interval", default="1m", help="what $__rate_interval stands for (default: 1m)")
    parser.add_argument("--annotations", action="store_true", help="those of the annotations as well")
    given = parser.parse_args(arguments)
    for query in queries(
        namespace=given.namespace,
        mesh=given.mesh,
        pod=given.pod,
        rate_interval=given.rate_interval,
        annotations=given.annotations,
    ):
        sys.stdout.write(json.dumps(asdict(query)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
