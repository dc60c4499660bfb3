"""Rows of the overview that speak of the service: is it well, what goes through it, what goes wrong."""

from __future__ import annotations

from alerts.handshakes import BUDGET, ratio
from dashboards.model import (
    GOOD_WHEN_ZERO,
    MESH,
    NEUTRAL,
    POD,
    RATE,
    ColorStep,
    Panel,
    PanelKind,
    PanelRow,
    Query,
    Unit,
)

_SHARE_STEPS = (ColorStep(None, "red"), ColorStep(0.99, "orange"), ColorStep(0.999, "green"))
_BUDGET_STEPS = (ColorStep(None, "red"), ColorStep(0, "orange"), ColorStep(0.25, "green"))


def quantile(share: float, histogram: str, labels: str = "", filters: str = POD) -> str:
    by = f"le, {labels}" if labels else "le"
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket{{{filters}}}{RATE})))"


def _stat(title: str, description: str, expr: str, **how: object) -> Panel:
    settings: dict[str, object] = {"kind": PanelKind.STAT, "width": 3, "height": 4, "steps": NEUTRAL, "minimum": None}
    return Panel(title, description, (Query(expr),), **(settings | how))  # type: ignore[arg-type]


WELL = PanelRow(
    "Is it well?",
    (
        _stat(
            "Nodes ready",
            "Share of wanted nodes that are ready, as the operator sees them.",
            f"sum(hermes_operator_mesh_ready_replicas{{{MESH}}}) / sum(hermes_operator_mesh_desired_replicas{{{MESH}}})",
            unit=Unit.SHARE,
            steps=(ColorStep(None, "red"), ColorStep(0.5, "orange"), ColorStep(1, "green")),
            alert="HermesMeshDegraded",
        ),
        _stat(
            "Alerts firing",
            "Hermes alerts that fire for the chosen meshes.",
            f'sum(ALERTS{{alertstate="firing",alertname=~"Hermes.+",{MESH}}}) or vector(0)',
            steps=GOOD_WHEN_ZERO,
        ),
        _stat(
            "Chats opened, 1 h",
            "Share of chat openings of the last hour that Hermes did not fail. Objective: 99.9%.",
            f"min(1 - {ratio('1h')}{{{MESH}}})",
            unit=Unit.SHARE,
            decimals=3,
            steps=_SHARE_STEPS,
            alert="HermesHandshakeFailureRatioHigh",
        ),
        _stat(
            "Error budget left, 3 d",
            "What three days of chat openings have left of the 0.1% that may fail; below zero the objective is missed.",
            f"min(1 - {ratio('3d')}{{{MESH}}} / {BUDGET})",
            unit=Unit.SHARE,
            decimals=1,
            steps=_BUDGET_STEPS,
            alert="HermesHandshakeFailureRatioHigh",
        ),
        _stat(
            "Live chats",
            "Chats on the chosen nodes. A chat between two nodes counts on both.",
            f"sum(hermes_chats_active{{{POD}}})",
        ),
        _stat("App sessions", "Connected apps.", f"sum(hermes_sessions_active{{{POD}}})"),
        _stat(
            "Keystores sealed",
            "Nodes that run with a keystore that is not open: they do not serve.",
            f"sum(hermes_keystore_sealed{{{POD}}})",
            steps=GOOD_WHEN_ZERO,
            alert="HermesKeystoreSealed",
        ),
        _stat(
            "Rollbacks and tampering",
            "Proofs since the nodes started that a keystore is an older copy or was changed. Any is an incident.",
            f"sum(hermes_keystore_rollback_total{{{POD}}}) + sum(hermes_keystore_tamper_total{{{POD}}})",
            steps=GOOD_WHEN_ZERO,
            alert="HermesKeystoreRollbackDetected",
        ),
        _stat(
            "Clocks in doubt",
            "Starts of the running nodes with a clock that contradicted the last time seen: their chats are rekeyed.",
            f"sum(hermes_clock_doubts_total{{{POD}}})",
            steps=GOOD_WHEN_ZERO,
            alert="HermesClockInDoubt",
        ),
    ),
)

TRAFFIC = PanelRow(
    "Traffic",
    (
        Panel(
            "Messages",
            "Messages on their way forward and acknowledgements on their way back, a second. Dropped: the onward path was "
            "down, and the sender sends them again.",
            (
                Query(
                    f"sum by (direction, result) (rate(hermes_messages_total{{{POD}}}{RATE}))",
                    "{{direction}} {{result}}",
                ),
            ),
            unit=Unit.PER_SECOND,
        ),
        Panel(
            "Time in the node",
            "From reading a batch of frames until its last one was handed to the next hop, keystore commits included.",
            (
                Query(quantile(0.5, "hermes_message_relay_seconds"), "p50"),
                Query(quantile(0.99, "hermes_message_relay_seconds"), "p99"),
            ),
            unit=Unit.SECONDS,
        ),
        Panel(
            "Chat openings",
            "Openings a second. Failed: Hermes could not do it. Refused: the apps' doing (offline, rejected, throttled).",
            (Query(f"sum by (result) (rate(hermes_handshakes_total{{{POD}}}{RATE}))", "{{result}}"),),
            unit=Unit.PER_SECOND,
            alert="HermesHandshakeFailureRatioHigh",
        ),
        Panel(
            "Time to open a chat",
            "From the offer to the confirmation by both sides; people and their apps are part of it.",
            (
                Query(quantile(0.5, "hermes_handshake_duration_seconds", "scope"), "p50 {{scope}}"),
                Query(quantile(0.99, "hermes_handshake_duration_seconds", "scope"), "p99 {{scope}}"),
            ),
            unit=Unit.SECONDS,
        ),
        Panel(
            "Errors answered",
            "The five most frequent error codes answered to apps and nodes, a second. Codes: docs/reference/errors.md.",
            (Query(f"topk(5, sum by (code) (rate(hermes_router_errors_total{{{POD}}}{RATE})))", "{{code}}"),),
            unit=Unit.PER_SECOND,
        ),
        Panel(
            "Held back",
            "Requests that a bound held back, a second, by the bound.",
            (Query(f"sum by (scope) (rate(hermes_throttled_total{{{POD}}}{RATE}))", "{{scope}}"),),
            unit=Unit.PER_SECOND,
        ),
    ),
)

CRYPTO = PanelRow(
    "Chats and keys",
    (
        Panel(
            "Ratchet steps",
            "Frames sealed or opened a second, by channel.",
            (Query(f"sum by (channel) (rate(hermes_ratchet_advances_total{{{POD}}}{RATE}))", "{{channel}}"),),
            unit=Unit.PER_SECOND,
            alert="HermesRatchetFailuresHigh",
        ),
        Panel(
            "Refused by ratchets",
            "Frames and confirmations that did not authenticate, and replays, a second. All are refused; a steady rate means "
            "that keys differ or that somebody tries.",
            (
                Query(f"sum by (reason) (rate(hermes_ratchet_failures_total{{{POD}}}{RATE}))", "{{reason}}"),
                Query(f"sum by (kind) (rate(hermes_replay_rejections_total{{{POD}}}{RATE}))", "replayed {{kind}}"),
            ),
            unit=Unit.PER_SECOND,
            alert="HermesReplayRejectionsHigh",
        ),
        Panel(
            "Rekeys",
            "Rekeys of hop channels in the last five minutes; required: an epoch reached its limit and the apps were told.",
            (
                Query(
                    f"sum by (trigger, result) (increase(hermes_rekeys_total{{{POD}}}[5m]))",
                    "{{trigger}} {{result}}",
                ),
            ),
        ),
        Panel(
            "Resumes",
            "Resumes of hop channels in the last five minutes. Only `resumed` is good news; `rollback` is an incident.",
            (Query(f"sum by (result) (increase(hermes_resumes_total{{{POD}}}[5m]))", "{{result}}"),),
            alert="HermesResumeDesyncHigh",
        ),
        Panel(
            "Chats ended",
            "Chats erased in the last five minutes, by reason.",
            (Query(f"sum by (reason) (increase(hermes_chat_erasures_total{{{POD}}}[5m]))", "{{reason}}"),),
        ),
        Panel(
            "Live chats",
            "Chats on the chosen nodes; tieline: the other app is at home on another node.",
            (Query(f"sum by (scope) (hermes_chats_active{{{POD}}})", "{{scope}}"),),
            stacked=True,
        ),
        Panel(
            "Chats that move",
            "A second. Arrived: a hop was made anew; left: the app is at home elsewhere. To move: still on nodes that leave.",
            (
                Query(f"sum by (direction) (rate(hermes_chat_moves_total{{{POD}}}[$__rate_interval]))", "{{direction}}"),
                Query(f"sum(hermes_operator_chats_to_move{{{MESH}}})", "to move"),
            ),
        ),
    ),
)
