"""The row of the overview that speaks of members: who is there, who reaches whom, who is slow or lies, where apps are."""

from __future__ import annotations

from dashboards.model import POD, RATE, ColorStep, Panel, PanelRow, Query, Unit
from dashboards.panels_service import quantile

MEMBERS = PanelRow(
    "Mesh",
    (
        Panel(
            "Members by state",
            "The worst view any node has of the mesh. Nodes that disagree for long are partitioned.",
            (
                Query(f'min(hermes_mesh_members{{{POD},state="alive"}})', "alive, fewest seen"),
                Query(f'max(hermes_mesh_members{{{POD},state="alive"}})', "alive, most seen"),
                Query(f'max(hermes_mesh_members{{{POD},state="suspect"}})', "suspect, most seen"),
                Query(f'max(hermes_mesh_members{{{POD},state="dead"}})', "dead, most seen"),
            ),
            alert="HermesMeshPartitioned",
        ),
        Panel(
            "Broken pairs",
            "Members that others reach and a node does not; chats between the two go through a third node meanwhile.",
            (
                Query(f"max by (pod) (hermes_mesh_members_unreached{{{POD}}})", "not reached by {{pod}}"),
                Query(f"sum(hermes_mesh_routes_by_third{{{POD}}})", "streams through a third node"),
            ),
            steps=(ColorStep(None, "green"), ColorStep(1, "red")),
            alert="HermesMembersApart",
        ),
        Panel(
            "Local health",
            "How slow each node finds itself, 0 (well) to 8: what comes to it comes late. Its probes are longer by so much.",
            (Query(f"max by (pod) (hermes_mesh_local_health{{{POD}}})", "{{pod}}"),),
            steps=(ColorStep(None, "green"), ColorStep(2, "red")),
            maximum=8,
            alert="HermesMemberSlow",
        ),
        Panel(
            "Suspicions",
            "In the last five minutes, over all nodes. Made, heard: they began. Cancelled, refuted: the member lives. Buried: "
            "it is dead. Contradicted: nodes that heard themselves called dead.",
            (
                Query(f"sum by (event) (increase(hermes_mesh_suspicions_total{{{POD}}}[5m]))", "{{event}}"),
                Query(f"sum(increase(hermes_mesh_refutations_total{{{POD}}}[5m]))", "contradicted"),
            ),
            alert="HermesMemberFlapping",
        ),
        Panel(
            "Probes",
            "Probes a second, by how they ended. Indirect: the member answered others, and not the node that asked.",
            (Query(f"sum by (result) (rate(hermes_mesh_probes_total{{{POD}}}{RATE}))", "{{result}}"),),
            unit=Unit.PER_SECOND,
            alert="HermesMembersApart",
        ),
        Panel(
            "Time of a probe, p99",
            "Until the member's own answer. Of one node alone: that node, or its network, is slow.",
            (Query(quantile(0.99, "hermes_mesh_probe_duration_seconds", "pod"), "{{pod}}"),),
            unit=Unit.SECONDS,
            alert="HermesMemberSlow",
        ),
        Panel(
            "Dials that failed",
            "Dials of other nodes in the last five minutes that led nowhere, by what for and how they ended.",
            (
                Query(
                    f'sum by (purpose, result) (increase(hermes_mesh_dials_total{{{POD},result!="connected"}}[5m]))',
                    "{{purpose}} {{result}}",
                ),
            ),
            alert="HermesMembersApart",
        ),
        Panel(
            "Liars named",
            "Namings in the last hour, by the lie; claims to a live member's name with another key, and members that got one.",
            (
                Query(f"sum by (lie) (increase(hermes_mesh_lies_total{{{POD}}}[1h]))", "{{lie}}"),
                Query(f"sum(increase(hermes_mesh_identity_conflicts_total{{{POD}}}[1h]))", "identity conflict"),
                Query(f"sum by (how) (increase(hermes_mesh_keys_replaced_total{{{POD}}}[1h]))", "key {{how}}"),
            ),
            steps=(ColorStep(None, "green"), ColorStep(1, "red")),
            alert="HermesMemberLies",
        ),
        Panel(
            "Look-ups of apps",
            "A second, by how they ended. Away and unknown are answers; unanswered is a fault.",
            (Query(f"sum by (result) (rate(hermes_mesh_look_ups_total{{{POD}}}{RATE}))", "{{result}}"),),
            unit=Unit.PER_SECOND,
            alert="HermesLookUpsFailing",
        ),
        Panel(
            "Time of a look-up",
            "However it ended. A second and more: a holder did not answer, and the next one was asked.",
            (
                Query(quantile(0.5, "hermes_mesh_look_up_duration_seconds"), "p50"),
                Query(quantile(0.99, "hermes_mesh_look_up_duration_seconds"), "p99"),
            ),
            unit=Unit.SECONDS,
            alert="HermesLookUpsFailing",
        ),
        Panel(
            "Entries of the directory",
            "Apps whose home the chosen nodes know: their own, those they hold for others, those that look-ups found.",
            (Query(f"sum by (role) (hermes_mesh_directory_entries{{{POD}}})", "{{role}}"),),
            stacked=True,
        ),
        Panel(
            "Refused by a budget",
            "A second, by the budget that was used up: of apps, of members' questions, of look-ups that members ask.",
            (
                Query(f"sum by (budget) (rate(hermes_app_budget_refusals_total{{{POD}}}{RATE}))", "apps: {{budget}}"),
                Query(f"sum by (budget) (rate(hermes_mesh_budget_refusals_total{{{POD}}}{RATE}))", "members: {{budget}}"),
                Query(f"sum(rate(hermes_mesh_look_ups_refused_total{{{POD}}}{RATE}))", "members: look_ups"),
            ),
            unit=Unit.PER_SECOND,
        ),
    ),
)
