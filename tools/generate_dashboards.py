"""dashboards/*.json from `dashboards`."""

from __future__ import annotations

import sys

from dashboards.overview import DASHBOARDS
from tools.dashboard_json import render_json
from tools.generated_files import Files, run


def render() -> Files:
    return {f"dashboards/{dashboard.uid}.json": render_json(dashboard) for dashboard in DASHBOARDS}


if __name__ == "__main__":
    sys.exit(run(render))
