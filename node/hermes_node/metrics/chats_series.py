"""Metrics of app sessions and chats."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from hermes_core.errors import ErrorCode
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay.admission import AppBudget
from hermes_h2.events import Refusal
from hermes_node.metrics.codes import handshake_result
from hermes_node.metrics.family_types import CounterSeries, HistogramSeries, ReadCounterFamily, ReadGauge, ReadGaugeFamily
from hermes_node.metrics.labels import (
    NO_REASON,
    ChannelLabel,
    ChatScope,
    ExpiryReason,
    HandshakeRole,
    MessageDirection,
    MessageResult,
    MoveDirection,
    NoticeResult,
    RatchetFailure,
    RekeyResult,
    RekeyTrigger,
    ReplayKind,
    ResumeResult,
    SessionResult,
    ThrottleScope,
)

HANDSHAKE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RELAY_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class SessionMetrics:
    """App streams."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.active = ReadGauge(registry, "hermes_sessions_active", "App streams that proved their identity and are open.")
        self._sessions = CounterSeries(
            registry, "hermes_sessions_total", "App streams by what became of them.", {"result": SessionResult}
        )
        self._refused_connections = CounterSeries(
            registry,
            "hermes_app_connections_refused_total",
            "Connections of apps that were ended for what came over them, by the bound or rule that was broken.",
            {"kind": Refusal},
        )

    def count(self, result: SessionResult) -> None:
        self._sessions.count(result)

    def count_refused_connection(self, kind: Refusal, amount: int = 1) -> None:
        self._refused_connections.count(kind, amount=amount)


class ChatMetrics:
    """What happens to chats on this node; one method for each fact."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.active = ReadGaugeFamily(
            registry,
            "hermes_chats_active",
            "Live chats; tieline: the other app is at home on another node.",
            "scope",
            ChatScope,
        )
        self._handshakes = _handshakes(registry)
        self._handshake_seconds = HistogramSeries(
            registry,
            "hermes_handshake_duration_seconds",
            "Time from the offer of a chat to its confirmation by both sides.",
            {"scope": ChatScope},
            HANDSHAKE_BUCKETS,
        )
        self._messages = CounterSeries(
            registry,
            "hermes_messages_total",
            "Frames of chats by what became of them; forward: messages, backward: acknowledgements.",
            {"direction": MessageDirection, "result": MessageResult},
        )
        self._relay_seconds = Histogram(
            "hermes_message_relay_seconds",
            "Time from reading a batch of frames until its last one was handed to the next hop, commits included.",
            buckets=RELAY_BUCKETS,
            registry=registry,
        )
        self._advances = CounterSeries(
            registry,
            "hermes_ratchet_advances_total",
            "Steps of ratchet chains: one a frame sealed or opened.",
            {"channel": ChannelLabel},
        )
        self._ratchet_failures = CounterSeries(
            registry,
            "hermes_ratchet_failures_total",
            "Frames and confirmations that a ratchet refused, replays apart.",
            {"channel": ChannelLabel, "reason": RatchetFailure},
        )
        self._reservations = Counter(
            "hermes_ratchet_reservations_total",
            "Chat records committed ahead of use, so that no position is used twice after a crash.",
            registry=registry,
        )
        self._skipped = CounterSeries(
            registry,
            "hermes_ratchet_skipped_positions_total",
            "Positions passed over by fast-forwarding after a restart.",
            {"channel": ChannelLabel},
        )
        self._replays = CounterSeries(registry, "hermes_replay_rejections_total", "Replays refused.", {"kind": ReplayKind})
        self._rekeys = CounterSeries(
            registry,
            "hermes_rekeys_total",
            "Rekeys of hop channels; required: an epoch reached its limit and the apps were told.",
            {"trigger": RekeyTrigger, "result": RekeyResult},
        )
        self.budget_refusals = ReadCounterFamily(
            registry,
            "hermes_app_budget_refusals",
            "Refusals of what one app has done too often of late, by what it was; look-ups of apps among them.",
            "budget",
            AppBudget,
        )
        self._throttled = CounterSeries(
            registry, "hermes_throttled_total", "Requests held back by a bound.", {"scope": ThrottleScope}
        )
        self._resumes = CounterSeries(
            registry, "hermes_resumes_total", "Resumes of hop channels after a reconnect or restart.", {"result": ResumeResult}
        )
        self._moves = CounterSeries(
            registry,
            "hermes_chat_moves_total",
            "Chats that go on with another home; arrived: a hop was made anew here, left: the app is at home elsewhere.",
            {"direction": MoveDirection, "channel": ChannelLabel},
        )
        self._erasures = CounterSeries(
            registry, "hermes_chat_erasures_total", "Chats wiped from memory and keystore.", {"reason": CloseReason}
        )
        self._notices = CounterSeries(
            registry,
            "hermes_teardown_notices_total",
            "Tombstones of a chat's end that their receiver acknowledged.",
            {"reason": CloseReason, "result": NoticeResult},
        )
        self._expired = CounterSeries(
            registry, "hermes_chats_expired_total", "Chats that ended by time.", {"reason": ExpiryReason}
        )
        self._errors = CounterSeries(
            registry, "hermes_router_errors_total", "Errors answered to apps and nodes.", {"code": ErrorCode}
        )

    def observe_handshake(self, role: HandshakeRole, code: ErrorCode | None = None) -> None:
        """A chat opening came to an end: `code` None when the chat is open, else why it is not."""
        self._handshakes[role, code].inc()

    def observe_handshake_duration(self, scope: ChatScope, seconds: float) -> None:
        self._handshake_seconds.observe(scope, seconds=seconds)

    def count_messages(self, direction: MessageDirection, result: MessageResult, amount: int = 1) -> None:
        self._messages.count(direction, result, amount=amount)

    def observe_relay(self, seconds: float) -> None:
        """Once a batch, not once a message."""
        self._relay_seconds.observe(seconds)

    def count_ratchet_advances(self, channel: ChannelLabel, amount: int) -> None:
        self._advances.count(channel, amount=amount)

    def count_ratchet_failure(self, channel: ChannelLabel, reason: RatchetFailure) -> None:
        self._ratchet_failures.count(channel, reason)

    def count_reservations(self, amount: int) -> None:
        """Chat records in one commit."""
        if amount:
            self._reservations.inc(amount)

    def count_skipped_positions(self, channel: ChannelLabel, amount: int) -> None:
        self._skipped.count(channel, amount=amount)

    def count_replay(self, kind: ReplayKind) -> None:
        self._replays.count(kind)

    def count_rekey(self, trigger: RekeyTrigger, result: RekeyResult) -> None:
        self._rekeys.count(trigger, result)

    def count_throttled(self, scope: ThrottleScope) -> None:
        self._throttled.count(scope)

    def count_resume(self, result: ResumeResult) -> None:
        self._resumes.count(result)

    def count_move(self, direction: MoveDirection, channel: ChannelLabel) -> None:
        self._moves.count(direction, channel)

    def count_erasure(self, reason: CloseReason) -> None:
        self._erasures.count(reason)

    def count_notice(self, reason: CloseReason, result: NoticeResult = NoticeResult.DELIVERED) -> None:
        self._notices.count(reason, result)

    def count_expired(self, reason: ExpiryReason) -> None:
        self._expired.count(reason)

    def count_error(self, code: ErrorCode) -> None:
        """An error that was answered on a stream, whatever it ends."""
        self._errors.count(code)


def _handshakes(registry: CollectorRegistry) -> dict[tuple[HandshakeRole, ErrorCode | None], Counter]:
    """A code belongs to exactly one result, so this family is not the product of its labels."""
    family = Counter(
        "hermes_handshakes_total",
        "Chat openings; failed: Hermes could not do it, refused: the apps' doing. The reason is the error code.",
        ("role", "result", "reason"),
        registry=registry,
    )
    codes: tuple[ErrorCode | None, ...] = (None, *ErrorCode)
    return {
        (role, code): family.labels(role.value, handshake_result(code).value, code.name if code else NO_REASON)
        for role in HandshakeRole
        for code in codes
    }
