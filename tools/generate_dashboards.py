"""dashboards/*.json from `tools.dashboards`."""

from __future__ import annotations

import sys

from tools.dashboards.overview import DASHBOARDS
from tools.dashboards.render import render_json
from tools.generated_files import Files, run


def render() -> Files:
    return {f"dashboards/{dashboard.uid}.json": render_json(dashboard) for dashboard in DASHBOARDS}


if __name__ == "__main__":
    sys.exit(run(render))
