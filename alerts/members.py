"""Alerts on how the nodes of a mesh see and find each other: broken pairs, slow and flapping members, liars, look-ups."""

from __future__ import annotations

from alerts.model import (
    COUNT,
    MESH,
    PERCENT,
    POD,
    RATE,
    THRESHOLD_MARK,
    VALUE,
    Alert,
    DashboardLink,
    Severity,
    Threshold,
    risen,
)

_UNANSWERED = 'sum by (namespace, mesh) (rate(hermes_mesh_look_ups_total{result="unanswered"}[5m]))'
_LOOK_UPS = "sum by (namespace, mesh) (rate(hermes_mesh_look_ups_total[5m]))"

ALERTS = (
    Alert(
        name="HermesMembersApart",
        severity=Severity.WARNING,
        summary="Two nodes of a HermesMesh do not reach each other, although others reach both.",
        description=f"{POD} does not reach {VALUE} members that others reach: chats between them need a third node.",
        # Longer than what a node found counts without being found again (hermes_node.mesh.reach).
        expr=f"max by (namespace, mesh, pod) (hermes_mesh_members_unreached) > {THRESHOLD_MARK}",
        threshold=Threshold(0, "members that others reach and a node may not reach"),
        lasting="10m",
        link=DashboardLink.POD,
    ),
    Alert(
        name="HermesMemberSlow",
        severity=Severity.WARNING,
        summary="A Hermes node hears and answers too late: it is slow itself, or its network or disk is.",
        description=f"{POD} had a local health of {RATE} of 8 for 15 minutes: it is the slow one, not those it waits for.",
        # Alone, nobody answers it and nothing can be said of its speed.
        expr=(
            f"max by (namespace, mesh, pod) (avg_over_time(hermes_mesh_local_health[15m])) > {THRESHOLD_MARK}\n"
            "and\n"
            'max by (namespace, mesh, pod) (hermes_mesh_members{state="alive"}) > 1'
        ),
        threshold=Threshold(2, "mean local health of one node over 15 minutes, 0 (well) to 8"),
        lasting="5m",
        link=DashboardLink.POD,
    ),
    Alert(
        name="HermesMemberFlapping",
        severity=Severity.WARNING,
        summary="A Hermes node is suspected again and again, and lives.",
        description=f"Others called {POD} dead {COUNT} times in 15 minutes, and it contradicted each time.",
        expr=f"sum by (namespace, mesh, pod) (increase(hermes_mesh_refutations_total[15m])) >= {THRESHOLD_MARK}",
        threshold=Threshold(20, "contradictions of one node's death in 15 minutes"),
        lasting="5m",
        link=DashboardLink.POD,
    ),
    Alert(
        name="HermesMemberLies",
        severity=Severity.WARNING,
        summary="A node of a HermesMesh says what only a liar, or a broken node, says.",
        description=f"Nodes of mesh {MESH} named a member {COUNT} times: {{{{ $labels.lie }}}}. Their logs have its name.",
        expr=risen("hermes_mesh_lies_total", "namespace, mesh, lie"),
        keep="1h",
    ),
    Alert(
        name="HermesLookUpsFailing",
        severity=Severity.WARNING,
        summary="Nodes of a HermesMesh do not learn where apps are.",
        description=f"{PERCENT} of the look-ups of apps in mesh {MESH} get no answer: calls to those apps fail.",
        expr=f"{_UNANSWERED} / {_LOOK_UPS} > {THRESHOLD_MARK}\nand\n{_UNANSWERED} > 0.1",
        threshold=Threshold(0.05, "share of look-ups that nobody answers"),
        lasting="10m",
    ),
)
