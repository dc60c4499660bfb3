"""Rows of the overview that speak of the system: nodes, keystores, operator."""

from __future__ import annotations

from dashboards.model import MESH, POD, RATE, ColorStep, Column, Panel, PanelKind, PanelRow, Query, Unit
from dashboards.panels_service import quantile

_PODS = "sum by (namespace, mesh, pod)"
_NODE = f'job="hermes-node",{POD}'
_OPERATOR = 'job="hermes-operator"'
DAY_S = 86400

NODES = PanelRow(
    "Nodes",
    (
        Panel(
            "Nodes",
            "One line a node: what it runs, since when, and what it holds.",
            (
                Query(f"max by (namespace, mesh, pod, version) (hermes_build_info{{{POD}}})"),
                Query(f"time() - max by (namespace, mesh, pod) (process_start_time_seconds{{{_NODE}}})"),
                Query(f"{_PODS} (hermes_keystore_sealed{{{POD}}})"),
                Query(f'{_PODS} (hermes_mesh_members{{{POD},state="alive"}})'),
                Query(f'{_PODS} (hermes_mesh_members{{{POD},state="suspect"}})'),
                Query(f"{_PODS} (hermes_chats_active{{{POD}}})"),
                Query(f"{_PODS} (hermes_sessions_active{{{POD}}})"),
                Query(f"{_PODS} (hermes_keystore_generation{{{POD}}})"),
                Query(f"{_PODS} (process_resident_memory_bytes{{{_NODE}}})"),
            ),
            kind=PanelKind.TABLE,
            width=24,
            height=8,
            minimum=None,
            alert="HermesNodeRestarting",
            columns=(
                Column("namespace", "Namespace"),
                Column("mesh", "Mesh"),
                Column("pod", "Node"),
                Column("version", "Version"),
                Column("Value #B", "Up for", Unit.SECONDS),
                Column("Value #C", "Sealed", Unit.BOOLEAN),
                Column("Value #D", "Sees alive"),
                Column("Value #E", "Sees suspect"),
                Column("Value #F", "Chats"),
                Column("Value #G", "Sessions"),
                Column("Value #H", "Keystore generation"),
                Column("Value #I", "Memory", Unit.BYTES),
            ),
        ),
        Panel(
            "Event loop lag, p99",
            "How late each node runs what is due. Everything it serves waits that long.",
            (Query(quantile(0.99, "hermes_event_loop_lag_seconds", "pod"), "{{pod}}"),),
            unit=Unit.SECONDS,
            steps=(ColorStep(None, "green"), ColorStep(0.5, "red")),
            alert="HermesEventLoopLagHigh",
        ),
        Panel(
            "CPU",
            "Processor cores in use.",
            (Query(f"sum by (pod) (rate(process_cpu_seconds_total{{{_NODE}}}{RATE}))", "{{pod}}"),),
            unit=Unit.CORES,
        ),
        Panel(
            "Memory",
            "Resident memory.",
            (Query(f"sum by (pod) (process_resident_memory_bytes{{{_NODE}}})", "{{pod}}"),),
            unit=Unit.BYTES,
        ),
        Panel(
            "gRPC streams open",
            "Streams started and not ended, by method.",
            (
                Query(
                    f"sum by (grpc_service, grpc_method) (grpc_server_started_total{{{POD}}})"
                    f" - sum by (grpc_service, grpc_method) (grpc_server_handled_total{{{POD}}})",
                    "{{grpc_service}}/{{grpc_method}}",
                ),
            ),
        ),
        Panel(
            "gRPC ended, by code",
            "Streams that ended in the last five minutes. OK and Canceled are ordinary.",
            (Query(f"sum by (grpc_code) (increase(grpc_server_handled_total{{{POD}}}[5m]))", "{{grpc_code}}"),),
        ),
    ),
)

FRONTS = PanelRow(
    "Fronts",
    (
        Panel(
            "Fronts up",
            "Processes that take apps' connections for each node. None where nodes do it themselves.",
            (Query(f"sum by (pod) (hermes_fronts{{{POD}}})", "{{pod}}"),),
        ),
        Panel(
            "Fronts ended, by reason",
            "In the last fifteen minutes, each with its connections. Those that a node stopped are ordinary.",
            (Query(f"sum by (pod, reason) (increase(hermes_front_ends_total{{{POD}}}[15m]))", "{{pod}} {{reason}}"),),
            alert="HermesFrontsEnding",
        ),
        Panel(
            "Memory of a front",
            "Resident memory, the average of a node's fronts. Each is ended at limits.front_memory_mib.",
            (Query(f"sum by (pod) (hermes_front_resident_bytes{{{POD}}}) / sum by (pod) (hermes_fronts{{{POD}}})", "{{pod}}"),),
            unit=Unit.BYTES,
        ),
        Panel(
            "Connections at fronts",
            "By whether something was proven on them.",
            (Query(f"sum by (pod, kind) (hermes_front_connections{{{POD}}})", "{{pod}} {{kind}}"),),
        ),
        Panel(
            "Between fronts and nodes",
            "Bytes a second, as the node sees them.",
            (Query(f"sum by (pod, direction) (rate(hermes_front_link_bytes_total{{{POD}}}{RATE}))", "{{pod}} {{direction}}"),),
            unit=Unit.BYTES,
        ),
    ),
)

KEYSTORES = PanelRow(
    "Keystores and certificates",
    (
        Panel(
            "Keystore commits",
            "Commits a second. Positions are reserved ahead, so this is far below the rate of messages.",
            (
                Query(
                    f'sum by (pod) (rate(hermes_keystore_operations_total{{{POD},operation="commit"}}{RATE}))',
                    "{{pod}}",
                ),
            ),
            unit=Unit.PER_SECOND,
        ),
        Panel(
            "Commit time, p99",
            "Time of a durable commit. Messages wait for it at most once a window.",
            (
                Query(
                    quantile(0.99, "hermes_keystore_operation_duration_seconds", "pod", f'{POD},operation="commit"'),
                    "{{pod}}",
                ),
            ),
            unit=Unit.SECONDS,
        ),
        Panel(
            "Keystore size",
            "Bytes of the keystore's files.",
            (Query(f"sum by (pod) (hermes_keystore_size_bytes{{{POD}}})", "{{pod}}"),),
            unit=Unit.BYTES,
        ),
        Panel(
            "Commit counter",
            "Commits so far. A line that falls is a keystore that was put back to an earlier state.",
            (Query(f"max by (pod) (hermes_keystore_commit_counter{{{POD}}})", "{{pod}}"),),
            alert="HermesKeystoreRollbackDetected",
        ),
        Panel(
            "Operations that failed",
            "Failed keystore operations in the last five minutes. A failed commit stops the node.",
            (
                Query(
                    f'sum by (operation) (increase(hermes_keystore_operations_total{{{POD},result="failure"}}[5m]))',
                    "{{operation}}",
                ),
            ),
            alert="HermesKeystoreSealed",
        ),
        Panel(
            "Certificates expire in",
            "Time until the first certificate in use expires, by kind. The operator renews a month ahead.",
            (
                Query(
                    f"min by (kind) (hermes_tls_certificate_not_after_timestamp_seconds{{{POD}}}) - time()",
                    "{{kind}}",
                ),
            ),
            unit=Unit.SECONDS,
            steps=(ColorStep(None, "red"), ColorStep(7 * DAY_S, "orange"), ColorStep(21 * DAY_S, "green")),
            alert="HermesCertificateExpiring",
        ),
    ),
)

OPERATOR = PanelRow(
    "Operator and rollouts",
    (
        Panel(
            "Nodes wanted and ready",
            "As the operator sees them.",
            (
                Query(f"sum by (mesh) (hermes_operator_mesh_desired_replicas{{{MESH}}})", "{{mesh}} wanted"),
                Query(f"sum by (mesh) (hermes_operator_mesh_ready_replicas{{{MESH}}})", "{{mesh}} ready"),
            ),
            alert="HermesMeshDegraded",
        ),
        Panel(
            "Conditions that hold",
            "1 while a condition of a mesh is True. Ready and ResumeVerified should be, Degraded and KeystoresSealed not.",
            (
                Query(
                    f'max by (mesh, condition) (hermes_operator_mesh_condition{{{MESH},status="True"}})',
                    "{{mesh}} {{condition}}",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Restarts proven",
            "Restarted nodes that were checked, since the operator started: they hold what they held before, or not.",
            (Query(f"sum by (check, result) (hermes_operator_resume_checks_total{{{MESH}}})", "{{check}} {{result}}"),),
            alert="HermesResumeCheckFailed",
        ),
        Panel(
            "Rollouts ended",
            "Since the operator started.",
            (Query(f"sum by (result) (hermes_operator_rollouts_total{{{MESH}}})", "{{result}}"),),
            alert="HermesRolloutHalted",
        ),
        Panel(
            "Passes",
            "Passes over meshes a second.",
            (Query(f"sum by (result) (rate(hermes_operator_reconcile_total{{{_OPERATOR}}}{RATE}))", "{{result}}"),),
            unit=Unit.PER_SECOND,
            alert="HermesOperatorReconcileErrors",
        ),
        Panel(
            "Time of a pass, p99",
            "How long the operator takes to look at one mesh and do what is needed.",
            (Query(quantile(0.99, "hermes_operator_reconcile_duration_seconds", filters=_OPERATOR), "p99"),),
            unit=Unit.SECONDS,
            alert="HermesOperatorDown",
        ),
    ),
)
