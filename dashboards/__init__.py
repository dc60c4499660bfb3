"""The dashboards as typed data; `python -m tools.generate_dashboards` writes the JSON that Grafana takes."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # On import they recommend the next schema, which only the newest Grafana reads; imported once, they are silent.
    warnings.simplefilter("ignore", DeprecationWarning)
    import grafana_foundation_sdk.builders.dashboard
    import grafana_foundation_sdk.builders.prometheus  # noqa: F401
