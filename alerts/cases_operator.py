"""Tests of `alerts.operator`."""

from __future__ import annotations

from alerts.cases import MESH, At, Case, Firing, M, never

DESIRED = f"hermes_operator_mesh_desired_replicas{{{M}}}"
SINCE = f"hermes_operator_rollout_in_progress_since_timestamp_seconds{{{M}}}"
PAUSED = f'hermes_operator_mesh_condition{{{M},condition="RolloutPaused",status="True"}}'


def checks(result: str, check: str = "rollout") -> str:
    return f'hermes_operator_resume_checks_total{{{M},check="{check}",result="{result}"}}'


def rollouts(result: str) -> str:
    return f'hermes_operator_rollouts_total{{{M},result="{result}"}}'


def _check_failed(check: str) -> tuple[Firing, ...]:
    text = f"1 resume checks ({check}) failed in chat/a: chats are missing, positions are lower, or the identity changed."
    return (Firing("critical", text, {**MESH, "check": check}),)


CHECK_CASES = (
    Case(
        "fires at once, and for half an hour",
        "HermesResumeCheckFailed",
        {checks("fail"): "0x20 1x100", checks("pass"): "0+1x120"},
        (At("18m"), At("24m", _check_failed("rollout")), At("60m", _check_failed("rollout")), At("80m")),
    ),
    Case(
        "is seen when the operator counted before its first scrape",
        "HermesResumeCheckFailed",
        {checks("fail", "restart"): "_x20 1x100"},
        (At("24m", _check_failed("restart")), At("60m", _check_failed("restart")), At("80m")),
    ),
    never("checks that pass", "HermesResumeCheckFailed", {checks("fail"): "0x90", checks("pass"): "0+1x90"}, "24m", "60m"),
    never("an old failure is over", "HermesResumeCheckFailed", {checks("fail"): "1x90"}, "60m"),
)

HALTED = (
    Firing(
        "warning", "The rollout of mesh chat/a halted (1 in 15 minutes); no further node is restarted until the spec changes."
    ),
)
HALTED_CASES = (
    Case(
        "fires at once, and for an hour",
        "HermesRolloutHalted",
        {rollouts("halted"): "0x20 1x140", rollouts("completed"): "0x140"},
        (At("18m"), At("24m", HALTED), At("60m", HALTED), At("110m")),
    ),
    Case(
        "is seen when the operator counted before its first scrape",
        "HermesRolloutHalted",
        {rollouts("halted"): "_x20 1x140"},
        (At("24m", HALTED), At("110m")),
    ),
    never(
        "rollouts that end well", "HermesRolloutHalted", {rollouts("halted"): "0x60", rollouts("completed"): "0+1x60"}, "24m"
    ),
    never("an old halt is over", "HermesRolloutHalted", {rollouts("halted"): "1x100"}, "90m"),
)


def _stuck(lasts: str) -> tuple[Firing, ...]:
    return (Firing("warning", f"The rollout of mesh chat/a has been running for {lasts}."),)


STUCK_CASES = (
    Case(
        "fires after ten minutes a node and five more, and resolves",
        "HermesRolloutStuck",
        {DESIRED: "3x90", SINCE: "60x45 _x40", PAUSED: "0x90"},
        (At("25m"), At("34m"), At("41m", _stuck("40m 0s")), At("56m")),
    ),
    never(
        "a rollout that a person paused", "HermesRolloutStuck", {DESIRED: "3x90", SINCE: "60x90", PAUSED: "1x90"}, "41m", "80m"
    ),
    never("a large mesh takes longer", "HermesRolloutStuck", {DESIRED: "9x90", SINCE: "60x90"}, "41m", "80m"),
    never("no rollout", "HermesRolloutStuck", {DESIRED: "3x90"}, "41m"),
)

OPERATOR_GONE = (
    Firing(
        "warning",
        "Prometheus finds no running operator (absent: 1). Meshes go on serving, and nothing repairs or renews them.",
        {},
    ),
)
DOWN_CASES = (
    Case(
        "fires after ten minutes, and resolves",
        "HermesOperatorDown",
        {'up{job="hermes-operator",pod="o-0"}': "1x4 0x16 1x20"},
        (At("12m"), At("18m", OPERATOR_GONE), At("25m")),
    ),
    Case("fires when there never was one", "HermesOperatorDown", {'up{job="other"}': "1x40"}, (At("18m", OPERATOR_GONE),)),
    never(
        "one of two is enough",
        "HermesOperatorDown",
        {'up{job="hermes-operator",pod="o-0"}': "0x40", 'up{job="hermes-operator",pod="o-1"}': "1x40"},
        "18m",
    ),
)

LEADERLESS = (Firing("warning", "0 of the operators that run holds the lease; meshes are not repaired.", {}),)


def leader(pod: str) -> str:
    return f'hermes_operator_leader{{job="hermes-operator",pod="{pod}"}}'


LEADER_CASES = (
    Case(
        "fires after ten minutes without a leader, and resolves",
        "HermesOperatorNoLeader",
        {leader("o-0"): "1x4 0x30", leader("o-1"): "0x20 1x20"},
        (At("12m"), At("18m", LEADERLESS), At("25m")),
    ),
    never("one leads", "HermesOperatorNoLeader", {leader("o-0"): "0x40", leader("o-1"): "1x40"}, "18m", "30m"),
)


def passes(result: str) -> str:
    return f'hermes_operator_reconcile_total{{job="hermes-operator",result="{result}"}}'


RECONCILE_CASES = (
    Case(
        "fires at three of ten for a quarter of an hour, and resolves",
        "HermesOperatorReconcileErrors",
        {passes("error"): "0+3x30 90x40", passes("ok"): "0+7x70"},
        (At("10m"), At("22m", (Firing("warning", "30% of the operator's passes fail.", {}),)), At("50m")),
    ),
    never("one of ten", "HermesOperatorReconcileErrors", {passes("error"): "0+1x60", passes("ok"): "0+9x60"}, "22m", "50m"),
)

CASES = (*CHECK_CASES, *HALTED_CASES, *STUCK_CASES, *DOWN_CASES, *LEADER_CASES, *RECONCILE_CASES)
