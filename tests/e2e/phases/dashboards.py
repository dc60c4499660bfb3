"""Every query of every dashboard panel, asked of the Prometheus that watched this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.phases.monitoring import UNREACHABLE
from tests.e2e.phases.runner import SkipPhase

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run


def query_dashboards(run: Run) -> str:
    """Ask every query; each must return data."""
    if run.prometheus is None:
        raise SkipPhase(UNREACHABLE)
    raise SkipPhase("tools.dashboard_queries is not there yet")
