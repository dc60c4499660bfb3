"""Every query of every dashboard panel, asked of the Prometheus that watched this run."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tests.e2e.phases.context import MESH, NAMESPACE, require
from tests.e2e.phases.monitoring import UNREACHABLE
from tests.e2e.phases.runner import SkipPhase
from tools.dashboard_queries import PanelQuery, queries

if TYPE_CHECKING:
    from tests.e2e.harness.monitoring import Monitor
    from tests.e2e.phases.context import Run

STEP_S = 5
RATE_INTERVAL = "30s"  # shorter than Grafana's, as the run itself is


def query_dashboards(run: Run) -> str:
    """Ask every query of the run so far, as Grafana asks it of a time range; each must return a number."""
    prometheus = run.prometheus
    if prometheus is None:
        raise SkipPhase(UNREACHABLE)
    asked = list(queries(namespace=NAMESPACE, mesh=MESH, rate_interval=RATE_INTERVAL))
    require(asked, "no dashboard has a query", "python -m tools.generate")
    answers = [(query, _count_numbers(prometheus, query, run.began_s)) for query in asked]
    run.write("dashboard-queries.txt", "\n".join(f"{count:6} {_name(query)}: {query.expr}" for query, count in answers))
    empty = [_name(query) for query, count in answers if not count]
    require(not empty, f"no data for {'; '.join(empty)}", "see dashboard-queries.txt in build/e2e")
    return f"{len(asked)} queries"


def _count_numbers(prometheus: Monitor, query: PanelQuery, began_s: float) -> int:
    """Return how many numbers it gave; a NaN is drawn as nothing."""
    if query.instant:
        values = [sample["value"] for sample in prometheus.query(query.expr)]
    else:
        span = {"start": str(began_s), "end": str(time.time()), "step": str(STEP_S)}
        matrix = prometheus.get("/api/v1/query_range", query=query.expr, **span)["data"]["result"]
        values = [value for series in matrix for value in series["values"]]
    return sum(not math.isnan(float(value)) for _, value in values)


def _name(query: PanelQuery) -> str:
    return f"{query.dashboard} / {query.panel} {query.ref_id}"
