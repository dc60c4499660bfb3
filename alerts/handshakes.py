"""The availability objective of chat openings, and alerts on how fast its error budget burns.

Multi-window, multi-burn-rate after the Site Reliability Workbook, chapter 5: the long window says that it matters, the short
one that it still goes on. The floor keeps a mesh with a handful of chats from waking anybody for one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from alerts.model import MESH, PERCENT, THRESHOLD_MARK, Alert, Recording, Severity, Threshold

BUDGET = 0.001
FLOOR = 10
"""Failed openings in the long window below which nothing fires."""


@dataclass(frozen=True)
class Burn:
    long: str
    short: str
    factor: float
    severity: Severity
    lasting: str


BURNS = (
    Burn("1h", "5m", 14.4, Severity.CRITICAL, "2m"),
    Burn("6h", "30m", 6, Severity.CRITICAL, "15m"),
    Burn("1d", "2h", 3, Severity.WARNING, "1h"),
    Burn("3d", "6h", 1, Severity.WARNING, "3h"),
)
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def ratio(window: str) -> str:
    return f"namespace_mesh:hermes_handshake_failures:ratio_rate{window}"


RECORDINGS = tuple(
    Recording(
        ratio(window),
        f'sum by (namespace, mesh) (rate(hermes_handshakes_total{{result="failed"}}[{window}]))\n'
        f"/\n"
        f'sum by (namespace, mesh) (rate(hermes_handshakes_total{{result=~"ok|failed"}}[{window}]))',
    )
    for window in WINDOWS
)


def _alert(burn: Burn) -> Alert:
    return Alert(
        name="HermesHandshakeFailureRatioHigh",
        variant=burn.long,
        severity=burn.severity,
        labels={"long": burn.long, "short": burn.short},
        summary="Chats cannot be opened.",
        description=(
            f"{PERCENT} of chat openings in {MESH} failed over {burn.long}: the 99.9% objective's budget burns "
            f"{burn.factor:g} times too fast or more."
        ),
        expr=(
            f"{ratio(burn.long)} > {THRESHOLD_MARK}\n"
            f"and\n"
            f"{ratio(burn.short)} > {THRESHOLD_MARK}\n"
            f"and\n"
            f'sum by (namespace, mesh) (increase(hermes_handshakes_total{{result="failed"}}[{burn.long}])) > {FLOOR}'
        ),
        threshold=Threshold(
            round(burn.factor * BUDGET, 6), f"failed share of chat openings, over {burn.long} and {burn.short}"
        ),
        lasting=burn.lasting,
    )


ALERTS = tuple(_alert(burn) for burn in BURNS)
