"""What the chat and mesh machines report, as metrics: one place that says which event counts where."""

from __future__ import annotations

from typing import Final, assert_never

from hermes_core.errors import ErrorCode
from hermes_core.ids import ChannelKind
from hermes_core.mesh import machine as mesh
from hermes_core.mesh.lies import LiarNamed
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.output import Cause, KeyReplaced, OwnIncarnationRaised, StandingChanged, SwimEvent
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay import events as chat
from hermes_node.metrics.codes import RATCHET_FAILURES, REPLAYS, RESUME_REFUSALS, THROTTLES
from hermes_node.metrics.labels import (
    ChannelLabel,
    ChatScope,
    ExpiryReason,
    HandshakeRole,
    KeyChange,
    LieLabel,
    MemberStateLabel,
    MoveDirection,
    RekeyResult,
    RekeyTrigger,
    ResumeResult,
    RollbackKind,
    SessionResult,
    SuspicionLabel,
    ThrottleScope,
)
from hermes_node.metrics.registry import NodeMetrics


def channel_of(kind: ChannelKind | None) -> ChannelLabel:
    return ChannelLabel.TIELINE if kind is ChannelKind.TIELINE else ChannelLabel.LEG


def record_node_event(metrics: NodeMetrics, event: chat.NodeEvent) -> None:
    """Count one event of `NodeOutput.events`."""
    match event:
        case chat.SessionOpened():
            metrics.sessions.count(SessionResult.ACCEPTED)
        case chat.SessionReplaced():
            metrics.sessions.count(SessionResult.REPLACED)
        case chat.SessionEnded(too_slow=too_slow):
            if too_slow:
                metrics.sessions.count(SessionResult.TOO_SLOW)
        case chat.SessionRefused(code=code):
            _record_refused_session(metrics, code)
        case chat.BatchRefused(code=code):
            metrics.chats.count_error(code)
        case _:
            record_chat_event(metrics, event)


def _record_refused_session(metrics: NodeMetrics, code: ErrorCode) -> None:
    metrics.sessions.count(SessionResult.REFUSED)
    metrics.chats.count_error(code)
    if code is ErrorCode.LIMIT_EXCEEDED:
        metrics.chats.count_throttled(ThrottleScope.STREAM)


def record_chat_event(metrics: NodeMetrics, event: chat.ChatEvent) -> None:
    """Count what happened to a chat."""
    match event:
        case chat.ChatOpened() | chat.HandshakeFailed(rekey=False):
            _record_opening(metrics, event)
        case chat.HandshakeFailed() | chat.ChannelRekeyed() | chat.RekeyRequired():
            _record_rekey(metrics, event)
        case chat.SideResumed(kind=kind, skipped=skipped):
            metrics.chats.count_resume(ResumeResult.RESUMED)
            metrics.chats.count_skipped_positions(channel_of(kind), skipped)
        case chat.ResumeRefused(code=code):
            metrics.chats.count_resume(RESUME_REFUSALS.get(code, ResumeResult.REFUSED))
        case chat.ChatMoved(kind=kind, arrived=arrived):
            metrics.chats.count_move(MoveDirection.ARRIVED if arrived else MoveDirection.LEFT, channel_of(kind))
        case chat.ChatQuarantined():
            metrics.keystore.count_rollback(RollbackKind.PEER)
        case chat.ChatErased() | chat.NoticeDelivered():
            _record_end(metrics, event)
        case chat.MessageRefused(kind=kind, code=code):
            _record_refusal(metrics, kind, code)
        case _:
            assert_never(event)


def _record_opening(metrics: NodeMetrics, event: chat.ChatOpened | chat.HandshakeFailed) -> None:
    role = HandshakeRole.INITIATOR if event.offered_here else HandshakeRole.RESPONDER
    if isinstance(event, chat.HandshakeFailed):
        metrics.chats.observe_handshake(role, event.code)
        return
    metrics.chats.observe_handshake(role)
    scope = ChatScope.TIELINE if event.scope is ChannelKind.TIELINE else ChatScope.LOCAL
    metrics.chats.observe_handshake_duration(scope, event.seconds)


def _record_rekey(metrics: NodeMetrics, event: chat.HandshakeFailed | chat.ChannelRekeyed | chat.RekeyRequired) -> None:
    match event:
        case chat.HandshakeFailed():
            metrics.chats.count_rekey(RekeyTrigger.APP, RekeyResult.FAILED)
        case chat.RekeyRequired():
            metrics.chats.count_rekey(RekeyTrigger.LIFETIME, RekeyResult.REQUIRED)
        case chat.ChannelRekeyed(epoch=epoch) if epoch > 1:
            metrics.chats.count_rekey(RekeyTrigger.APP, RekeyResult.COMPLETED)


def _record_end(metrics: NodeMetrics, event: chat.ChatErased | chat.NoticeDelivered) -> None:
    if isinstance(event, chat.NoticeDelivered):
        metrics.chats.count_notice(event.reason)
        return
    metrics.chats.count_erasure(event.reason)
    if event.reason is CloseReason.EXPIRED:
        metrics.chats.count_expired(ExpiryReason.IDLE if event.was_open else ExpiryReason.HANDSHAKE)


def _record_refusal(metrics: NodeMetrics, kind: ChannelKind, code: ErrorCode) -> None:
    chats = metrics.chats
    chats.count_error(code)
    if code in REPLAYS:
        chats.count_replay(REPLAYS[code])
    elif code in RATCHET_FAILURES:
        chats.count_ratchet_failure(channel_of(kind), RATCHET_FAILURES[code])
    elif code in THROTTLES:
        chats.count_throttled(THROTTLES[code])
    elif code is ErrorCode.LIMIT_EXCEEDED:
        chats.count_throttled(ThrottleScope.PEER if kind is ChannelKind.TIELINE else ThrottleScope.APP)


def record_mesh_event(metrics: NodeMetrics, event: mesh.MeshEvent) -> None:
    """Count one event of `MeshOutput.events`."""
    match event:
        case mesh.MemberStateChanged(after=after):
            metrics.mesh.count_transition(MemberStateLabel(after.name.lower()))
        case mesh.MemberEvicted():
            metrics.mesh.count_evicted()
        case mesh.IdentityConflict():
            metrics.mesh.count_identity_conflict()
        case LiarNamed(lie=lie):
            metrics.mesh.count_lie(LieLabel[lie.name])
        case mesh.MemberJoined() | mesh.IdentityRenewed() | mesh.IncarnationRaised() | mesh.MemberDescribed():
            pass  # gauges show what they lead to
        case _:
            assert_never(event)


_BEGAN: Final = {Cause.SILENT: SuspicionLabel.MADE, Cause.ACCUSED: SuspicionLabel.HEARD}
_ENDED: Final = {
    Cause.ANSWERED: SuspicionLabel.CANCELLED,
    Cause.CONTRADICTED: SuspicionLabel.REFUTED,
    Cause.UNANSWERED: SuspicionLabel.BURIED,
    Cause.DEPARTED: SuspicionLabel.LEFT,
}


def record_swim_event(metrics: NodeMetrics, event: SwimEvent) -> None:
    """Count what of SWIM's own events is none of the mesh's."""
    match event:
        case StandingChanged(after=MemberState.SUSPECT, cause=cause):
            metrics.swim.count_suspicion(_BEGAN[cause])
        case StandingChanged(before=MemberState.SUSPECT, cause=cause):
            metrics.swim.count_suspicion(_ENDED[cause])
        case OwnIncarnationRaised():
            metrics.swim.count_refutation()
        case KeyReplaced(renewed=renewed):
            metrics.mesh.count_key_replaced(KeyChange.RENEWED if renewed else KeyChange.REPLACED)
        case _:
            pass
