"""The overview: one page that answers whether a mesh is well and, if not, where to look."""

from __future__ import annotations

from alerts.model import RUNBOOKS_URL
from dashboards.model import MESH, POD, Annotation, Dashboard, Variable
from dashboards.panels_mesh import MEMBERS
from dashboards.panels_service import CRYPTO, TRAFFIC, WELL
from dashboards.panels_system import FRONTS, KEYSTORES, NODES, OPERATOR

OVERVIEW = Dashboard(
    uid="hermes-overview",
    title="Hermes / Overview",
    description="Is the mesh well, what goes through it, and where to look when it is not.",
    variables=(
        Variable("namespace", "Namespace", "label_values(hermes_build_info, namespace)"),
        Variable("mesh", "Mesh", 'label_values(hermes_build_info{namespace=~"$namespace"}, mesh)'),
        Variable("pod", "Node", f"label_values(hermes_build_info{{{MESH}}}, pod)"),
    ),
    annotations=(
        Annotation(
            "Node starts",
            f'process_start_time_seconds{{job="hermes-node",{POD}}} * 1000',
            "blue",
            "{{pod}} started",
            at_value=True,
        ),
        Annotation(
            "Rollouts",
            f"hermes_operator_rollout_in_progress_since_timestamp_seconds{{{MESH}}} * 1000",
            "purple",
            "rollout of {{mesh}} started",
            at_value=True,
        ),
        Annotation(
            "Alerts",
            f'ALERTS{{alertstate="firing",alertname=~"Hermes.+",{MESH}}}',
            "red",
            "{{alertname}} {{pod}}",
        ),
    ),
    links={"Runbooks": RUNBOOKS_URL},
    rows=(WELL, TRAFFIC, NODES, FRONTS, MEMBERS, CRYPTO, KEYSTORES, OPERATOR),
)

DASHBOARDS = (OVERVIEW,)
