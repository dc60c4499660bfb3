"""Tests of `alerts.crypto`."""

from __future__ import annotations

from alerts.cases import MESH, POD, At, Case, Firing, M, never

SEALED = f'hermes_keystore_sealed{{{M},pod="a-0"}}'


def condition(status: str, name: str = "KeystoresSealed") -> str:
    return f'hermes_operator_mesh_condition{{{M},condition="{name}",status="{status}"}}'


def failed_nodes(reason: str) -> str:
    return f'hermes_operator_mesh_failed_nodes{{{M},reason="{reason}"}}'


def _sealed(who: str, labels: dict[str, str]) -> Firing:
    return Firing("critical", f"{who} of mesh chat/a cannot open the keystore (sealed: 1) and does not serve.", labels)


SEALED_CASES = (
    Case(
        "fires after five minutes, and resolves",
        "HermesKeystoreSealed",
        {SEALED: "0x4 1x14 0x20"},
        (At("8m"), At("13m", (_sealed("Node a-0", POD),)), At("22m")),
    ),
    Case(
        "a node that ended because of it is seen through the operator",
        "HermesKeystoreSealed",
        {condition("True"): "0x4 1x14 0x20", condition("False"): "1x4 0x14 1x20"},
        (At("8m"), At("13m", (_sealed("A node", MESH),)), At("22m")),
    ),
    never(
        "open keystores",
        "HermesKeystoreSealed",
        {SEALED: "0x40", condition("True"): "0x40", condition("False"): "1x40", condition("True", "Degraded"): "1x40"},
        "13m",
        "30m",
    ),
    never("a start that takes a minute", "HermesKeystoreSealed", {SEALED: "0x4 1x1 0x20"}, "6m", "8m", "13m"),
)


def _attack(alert: str, counter: str, told: str, elsewhere: dict[str, str]) -> tuple[Case, ...]:
    """Rollback and tampering look alike; `elsewhere` is what other alerts are for."""
    by_node = (Firing("critical", told.replace("WHO", "Node a-0"), POD),)
    name = f'{counter}{{{M},pod="a-0",kind="x"}}'
    return (
        Case(
            "fires at once, and for an hour",
            alert,
            {name: "0x20 1x140"},
            (At("18m"), At("24m", by_node), At("60m", by_node), At("110m")),
        ),
        Case(
            "is seen in a process that counted before its first scrape",
            alert,
            {name: "_x20 1x140"},
            (At("18m"), At("24m", by_node), At("60m", by_node), At("110m")),
        ),
        never("other failures are other alerts", alert, {name: "0x60"} | elsewhere, "24m", "50m"),
        never("an old finding is over", alert, {name: "1x90"}, "85m"),
    )


ROLLBACK_CASES = _attack(
    "HermesKeystoreRollbackDetected",
    "hermes_keystore_rollback_total",
    "WHO of mesh chat/a was put back to an earlier state (1 proofs). Its chats are quarantined.",
    {failed_nodes("KeystoreTampered"): "1x60"},
)

_TAMPERED = "WHO of mesh chat/a found 1 changes in its keystore that it did not make."
_TOLD_BY_OPERATOR = (Firing("critical", _TAMPERED.replace("WHO", "A node"), MESH),)
TAMPER_CASES = (
    *_attack(
        "HermesKeystoreTampered",
        "hermes_keystore_tamper_total",
        _TAMPERED,
        {failed_nodes("KeystoreIo"): "1x60", failed_nodes("KeystoreTampered"): "0x60"},
    ),
    Case(
        "a node that ended because of it is seen through the operator",
        "HermesKeystoreTampered",
        {failed_nodes("KeystoreTampered"): "0x20 1x10 0x100", failed_nodes("KeystoreIo"): "0x140"},
        (At("18m"), At("24m", _TOLD_BY_OPERATOR), At("60m", _TOLD_BY_OPERATOR), At("110m")),
    ),
)


DOUBT = f'hermes_clock_doubts_total{{{M},pod="a-0",doubt="later"}}'
_DOUBTED = (
    Firing(
        "warning",
        "Node a-0 of mesh chat/a does not believe its clock (later, 1 starts). Nothing ends by it, and its chats are rekeyed.",
        POD | {"doubt": "later"},
    ),
)
CLOCK_CASES = (
    Case(
        "a restart with a wrong clock is told at once, and for an hour",
        "HermesClockInDoubt",
        {DOUBT: "0x20 1x140"},
        (At("18m"), At("24m", _DOUBTED), At("60m", _DOUBTED), At("110m")),
    ),
    Case(
        "a start with a wrong clock is told at once, and for an hour",
        "HermesClockInDoubt",
        {DOUBT: "_x20 1x140"},
        (At("18m"), At("24m", _DOUBTED), At("60m", _DOUBTED), At("110m")),
    ),
    never(
        "a start with a right one", "HermesClockInDoubt", {DOUBT: "_x20 0x60", "hermes_keystore_sealed": "1x80"}, "24m", "50m"
    ),
    never("an old doubt is over", "HermesClockInDoubt", {DOUBT: "1x90"}, "85m"),
)


def ratchet(advances: str, failures: str) -> dict[str, str]:
    return {
        f'hermes_ratchet_advances_total{{{M},pod="a-0",channel="leg"}}': advances,
        f'hermes_ratchet_failures_total{{{M},pod="a-0",channel="leg",reason="authentication"}}': failures,
    }


def _failing(share: str) -> tuple[Firing, ...]:
    return (Firing("warning", f"{share} of ratchet steps in chat/a fail: keys differ, or somebody forges."),)


RATCHET_CASES = (
    Case(
        "fires at one percent, and resolves ten minutes after the end",
        "HermesRatchetFailuresHigh",
        ratchet("0+600x90", "0x10 0+6x20 120x60"),
        (At("14m"), At("25m", _failing("1%")), At("38m", _failing("0.6%")), At("60m")),
    ),
    never("a third of a percent", "HermesRatchetFailuresHigh", ratchet("0+5000x40", "0+15x40"), "15m", "30m"),
    never(
        "five failures in five minutes are nothing", "HermesRatchetFailuresHigh", ratchet("0+100x40", "0+1x40"), "15m", "30m"
    ),
)


def replays(kind: str) -> str:
    return f'hermes_replay_rejections_total{{{M},pod="a-0",kind="{kind}"}}'


def _replayed(rate: str) -> tuple[Firing, ...]:
    text = f"{rate} replays a second (frame) are refused in chat/a. None was accepted."
    return (Firing("warning", text, {**MESH, "kind": "frame"}),)


REPLAY_CASES = (
    Case(
        "fires at one in five seconds, and resolves a quarter of an hour after the end",
        "HermesReplayRejectionsHigh",
        {replays("frame"): "0x10 12+12x20 252x60", replays("key"): "0x90"},
        (At("14m"), At("25m", _replayed("0.20")), At("42m", _replayed("0.12")), At("65m")),
    ),
    never("one in twenty seconds", "HermesReplayRejectionsHigh", {replays("frame"): "0+3x40"}, "15m", "30m"),
)


def resumes(resumed: str, desync: str, missing: str = "0x90") -> dict[str, str]:
    name = "hermes_resumes_total"
    values = {"resumed": resumed, "desync": desync, "missing": missing}
    return {f'{name}{{{M},pod="a-0",result="{result}"}}': text for result, text in values.items()}


DESYNCED = (Firing("warning", "10% of resumes on chat/a-0 found the two ends too far apart.", POD),)
DESYNC_CASES = (
    Case(
        "fires at a tenth of a hundred resumes, and resolves",
        "HermesResumeDesyncHigh",
        resumes("0x20 90x70", "0x20 10x70", "0x20 500x70"),
        (At("22m"), At("26m", DESYNCED), At("45m", DESYNCED), At("70m")),
    ),
    never("three percent", "HermesResumeDesyncHigh", resumes("0x20 300x70", "0x20 9x70"), "26m", "30m"),
    never("three chats of twenty", "HermesResumeDesyncHigh", resumes("0x20 20x70", "0x20 3x70"), "26m", "30m"),
)

CASES = (*SEALED_CASES, *ROLLBACK_CASES, *TAMPER_CASES, *CLOCK_CASES, *RATCHET_CASES, *REPLAY_CASES, *DESYNC_CASES)
