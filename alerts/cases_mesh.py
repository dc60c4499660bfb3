"""Tests of `alerts.mesh`."""

from __future__ import annotations

from alerts.cases import MESH, POD, At, Case, Firing, M, never

DESIRED = f"hermes_operator_mesh_desired_replicas{{{M}}}"
READY = f"hermes_operator_mesh_ready_replicas{{{M}}}"
SINCE = f"hermes_operator_rollout_in_progress_since_timestamp_seconds{{{M}}}"
STARTED = "process_start_time_seconds"


def up(pod: str, job: str = "hermes-node") -> str:
    return f'up{{job="{job}",{M},pod="{pod}"}}'


def alive(pod: str, mesh: str = "a") -> str:
    return f'hermes_mesh_members{{namespace="chat",mesh="{mesh}",pod="{pod}",state="alive"}}'


def started(instance: str, job: str = "hermes-node") -> str:
    return f'{STARTED}{{job="{job}",{M},pod="a-0",instance="{instance}"}}'


def lag(le: str) -> str:
    return f'hermes_event_loop_lag_seconds_bucket{{{M},pod="a-0",le="{le}"}}'


def front_ends(reason: str) -> str:
    return f'hermes_front_ends_total{{{M},pod="a-0",reason="{reason}"}}'


def not_after(kind: str = "mesh") -> str:
    return f'hermes_tls_certificate_not_after_timestamp_seconds{{{M},pod="a-0",kind="{kind}"}}'


def _down(nodes: int) -> Firing:
    return Firing("critical", f"Mesh chat/a wants {nodes} nodes and none is ready.")


DOWN = (
    Case(
        "fires when none is ready for five minutes, and resolves",
        "HermesMeshDown",
        {DESIRED: "3x40", READY: "3x4 0x12 3x20"},
        (At("8m"), At("12m", (_down(3),)), At("21m")),
    ),
    never("one ready node serves", "HermesMeshDown", {DESIRED: "3x40", READY: "1x40"}, "12m", "30m"),
    never("a mesh that wants no node is not down", "HermesMeshDown", {DESIRED: "0x40", READY: "0x40"}, "12m", "30m"),
    Case(
        "fires without an operator when no node can be scraped",
        "HermesMeshDown",
        {up("a-0"): "1x4 0x12 1x20", up("a-1"): "1x4 0x12 1x20"},
        (At("8m"), At("12m", (_down(2),)), At("21m")),
    ),
    never("one node that can be scraped", "HermesMeshDown", {up("a-0"): "0x40", up("a-1"): "1x40"}, "12m", "30m"),
    never(
        "the operator's word stands above a failing scrape",
        "HermesMeshDown",
        {DESIRED: "3x40", READY: "3x40", up("a-0"): "0x40"},
        "12m",
        "30m",
    ),
    never("other jobs are none of its business", "HermesMeshDown", {up("a-0", "other"): "0x40"}, "12m", "30m"),
    never(
        "a node killed and back within a minute",
        "HermesMeshDown",
        {DESIRED: "1x40", READY: "1x9 0x0 1x30"},
        "10m",
        "12m",
        "20m",
    ),
)


def _degraded(nodes: int) -> Firing:
    return Firing("warning", f"{nodes} nodes of mesh chat/a are not ready.")


DEGRADED = (
    Case(
        "fires when a node is missing for a quarter of an hour, and resolves",
        "HermesMeshDegraded",
        {DESIRED: "3x50", READY: "3x4 2x20 3x20"},
        (At("18m"), At("23m", (_degraded(1),)), At("30m")),
    ),
    never("all ready", "HermesMeshDegraded", {DESIRED: "3x50", READY: "3x50"}, "23m", "40m"),
    never("none ready is another alert", "HermesMeshDegraded", {DESIRED: "3x50", READY: "0x50"}, "23m", "40m"),
    never(
        "one node away is what a rollout looks like, however long",
        "HermesMeshDegraded",
        {DESIRED: "3x50", READY: "2x50", SINCE: "60x50"},
        "23m",
        "40m",
    ),
    Case(
        "two nodes away during a rollout are not normal",
        "HermesMeshDegraded",
        {DESIRED: "5x50", READY: "3x50", SINCE: "60x50"},
        (At("23m", (_degraded(2),)),),
    ),
)

ABSENT = (
    Case(
        "fires when no ready node is scraped, and resolves",
        "HermesMetricsAbsent",
        {READY: "3x50", up("a-0"): "1x4 0x14 1x20", up("a-1"): "1x4 0x14 1x20"},
        (
            At("12m"),
            At("17m", (Firing("critical", "3 nodes of mesh chat/a are ready and Prometheus scrapes none of them."),)),
            At("23m"),
        ),
    ),
    Case(
        "fires when there is no target at all",
        "HermesMetricsAbsent",
        {READY: "2x50"},
        (At("17m", (Firing("critical", "2 nodes of mesh chat/a are ready and Prometheus scrapes none of them."),)),),
    ),
    never(
        "one scraped node is enough to see",
        "HermesMetricsAbsent",
        {READY: "3x50", up("a-0"): "1x50", up("a-1"): "0x50"},
        "17m",
        "40m",
    ),
    never("a mesh with no ready node has nothing to scrape", "HermesMetricsAbsent", {READY: "0x50"}, "17m", "40m"),
)

PARTITIONED = (
    Case(
        "fires when nodes disagree for ten minutes, and resolves",
        "HermesMeshPartitioned",
        {alive("a-0"): "3x40", alive("a-1"): "3x4 1x14 3x30", alive("b-0", "b"): "5x50"},
        (
            At("12m"),
            At(
                "17m",
                (
                    Firing(
                        "critical", "In mesh chat/a one node sees 2 more live members than another: chats between them fail."
                    ),
                ),
            ),
            At("23m"),
        ),
    ),
    never(
        "nodes that agree, however few they see",
        "HermesMeshPartitioned",
        {alive("a-0"): "1x40", alive("a-1"): "1x40"},
        "17m",
        "30m",
    ),
)

RESTARTING = (
    Case(
        "fires at three restarts of a container in half an hour, and resolves",
        "HermesNodeRestarting",
        {started("10.0.0.1:9090"): "100x9 200x3 300x3 400x60"},
        (At("16m"), At("22m", (Firing("warning", "chat/a-0 restarted 3 times in 30 minutes.", POD),)), At("60m")),
    ),
    Case(
        "fires when each start is another pod",
        "HermesNodeRestarting",
        {
            started("10.0.0.1:9090"): "100x5 _x60",
            started("10.0.0.2:9090"): "_x6 200x4 _x60",
            started("10.0.0.3:9090"): "_x11 300x4 _x60",
            started("10.0.0.4:9090"): "_x16 400x60",
        },
        (At("22m", (Firing("warning", "chat/a-0 restarted 3 times in 30 minutes.", POD),)), At("60m")),
    ),
    never(
        "two restarts",
        "HermesNodeRestarting",
        {started("10.0.0.1:9090"): "100x9 200x3 300x60"},
        "16m",
        "22m",
        "60m",
    ),
    never(
        "a rolling restart is one restart a pod",
        "HermesNodeRestarting",
        {started("10.0.0.1:9090"): "100x9 _x60", started("10.0.0.2:9090"): "_x10 200x60"},
        "22m",
    ),
    never(
        "other jobs are none of its business",
        "HermesNodeRestarting",
        {started("10.0.0.1:9090", "other"): "100x3 200x3 300x3 400x3 500x60"},
        "22m",
    ),
)

LAG = (
    Case(
        "fires at three quarters of a second for ten minutes, and resolves",
        "HermesEventLoopLagHigh",
        {
            lag("0.5"): "0+98x20 2060+100x40",
            lag("1"): "0+100x20 2100+100x40",
            lag("+Inf"): "0+100x20 2100+100x40",
        },
        (
            At("8m"),
            At(
                "15m",
                (
                    Firing(
                        "warning",
                        "The event loop of chat/a-0 runs 750ms late at the 99th percentile: everything it serves waits that"
                        " long.",
                        POD,
                    ),
                ),
            ),
            At("40m"),
        ),
    ),
    never(
        "less than half a second",
        "HermesEventLoopLagHigh",
        {lag("0.25"): "0+98x40", lag("0.5"): "0+100x40", lag("1"): "0+100x40", lag("+Inf"): "0+100x40"},
        "15m",
        "30m",
    ),
)

FRONTS = (
    Case(
        "fires when they end three times for one reason, and resolves",
        "HermesFrontsEnding",
        {front_ends("memory"): "0x9 1x2 2x2 3x2 4x60", front_ends("exited"): "0x60"},
        (
            At("11m"),
            At(
                "20m",
                (
                    Firing(
                        "warning",
                        "Fronts of chat/a-0 ended 4 times in 15 minutes (memory), each with its connections.",
                        {**POD, "reason": "memory"},
                    ),
                ),
            ),
            At(
                "36m",
                (
                    Firing(
                        "warning",
                        "Fronts of chat/a-0 ended 3 times in 15 minutes (memory), each with its connections.",
                        {**POD, "reason": "memory"},
                    ),
                ),
            ),
            At("55m"),
        ),
    ),
    never(
        "one that ends, and a node that stops its own",
        "HermesFrontsEnding",
        {front_ends("rule"): "0x9 1x60", front_ends("stopped"): "0x9 8x60"},
        "15m",
        "25m",
    ),
    never(
        "twice each for two reasons",
        "HermesFrontsEnding",
        {front_ends("rule"): "0x9 1x2 2x60", front_ends("memory"): "0x9 1x2 2x60"},
        "15m",
        "25m",
    ),
)


def _expires(severity: str, kind: str, left: str) -> Firing:
    return Firing(severity, f"The {kind} certificate of chat/a-0 expires in {left}.", {**POD, "kind": kind})


EXPIRING = (
    Case(
        "warns three weeks ahead, and resolves when it was renewed",
        "HermesCertificateExpiring",
        {not_after(): "1296000x29 7776000x30"},
        (At("12m"), At("20m", (_expires("warning", "mesh", "14d 23h 40m 0s"),)), At("33m")),
    ),
    Case(
        "is critical one week ahead",
        "HermesCertificateExpiring",
        {not_after("app"): "432000x60"},
        (
            At("12m"),
            At(
                "20m",
                (_expires("warning", "app", "4d 23h 40m 0s"), _expires("critical", "app", "4d 23h 40m 0s")),
            ),
        ),
    ),
    never("renewal is due a month ahead, and late at 25 days", "HermesCertificateExpiring", {not_after(): "2160000x60"}, "20m"),
)

CASES = (*DOWN, *DEGRADED, *ABSENT, *PARTITIONED, *RESTARTING, *LAG, *FRONTS, *EXPIRING)

__all__ = ["CASES", "MESH"]
