"""Each event of the chat and mesh machines counts where docs/reference/metrics.md says, and nowhere else."""

from __future__ import annotations

import typing

import pytest
from prometheus_client import CollectorRegistry

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId
from hermes_core.mesh import machine as mesh
from hermes_core.mesh.lies import LiarNamed, Lie
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.output import Cause, KeyReplaced, OwnIncarnationRaised, StandingChanged
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay import events as chat
from hermes_node.metrics.events import record_chat_event, record_mesh_event, record_node_event, record_swim_event
from hermes_node.metrics.registry import NodeMetrics

CHAT = ChatId(bytes(16))
NODE = NodeId("n-0")
APP = AppId("a" * 32)
LEG, TIELINE = ChannelKind.LEG, ChannelKind.TIELINE


def refused(code: ErrorCode, kind: ChannelKind = LEG) -> chat.MessageRefused:
    return chat.MessageRefused(CHAT, kind, code, "why")


def error(code: str) -> str:
    return f'hermes_router_errors_total{{code="{code}"}}'


EXPECTED: list[tuple[chat.NodeEvent, set[str]]] = [
    (
        chat.ChatOpened(CHAT, TIELINE, 0.2),
        {
            'hermes_handshakes_total{reason="none",result="ok",role="initiator"}',
            'hermes_handshake_duration_seconds_count{scope="tieline"}',
        },
    ),
    (
        chat.ChatOpened(CHAT, LEG, 0.2),
        {
            'hermes_handshakes_total{reason="none",result="ok",role="initiator"}',
            'hermes_handshake_duration_seconds_count{scope="local"}',
        },
    ),
    (
        chat.HandshakeFailed(CHAT, ErrorCode.KEY_MISMATCH, rekey=False),
        {'hermes_handshakes_total{reason="KEY_MISMATCH",result="failed",role="initiator"}'},
    ),
    (
        chat.HandshakeFailed(CHAT, ErrorCode.KEY_MISMATCH, rekey=True),
        {'hermes_rekeys_total{result="failed",trigger="app"}'},
    ),
    (chat.ChannelRekeyed(CHAT, LEG, 2), {'hermes_rekeys_total{result="completed",trigger="app"}'}),
    (chat.ChannelRekeyed(CHAT, LEG, 1), set()),
    (chat.RekeyRequired(CHAT), {'hermes_rekeys_total{result="required",trigger="lifetime"}'}),
    (
        chat.HandshakeFailed(CHAT, ErrorCode.TARGET_OFFLINE, rekey=False, offered_here=False),
        {'hermes_handshakes_total{reason="TARGET_OFFLINE",result="refused",role="responder"}'},
    ),
    (
        chat.ChatOpened(CHAT, TIELINE, 0.2, offered_here=False),
        {
            'hermes_handshakes_total{reason="none",result="ok",role="responder"}',
            'hermes_handshake_duration_seconds_count{scope="tieline"}',
        },
    ),
    (chat.SideResumed(CHAT, LEG), {'hermes_resumes_total{result="resumed"}'}),
    (
        chat.SideResumed(CHAT, TIELINE, skipped=12),
        {'hermes_resumes_total{result="resumed"}', 'hermes_ratchet_skipped_positions_total{channel="tieline"}'},
    ),
    (chat.ResumeRefused(CHAT, LEG, ErrorCode.CHAT_NOT_FOUND), {'hermes_resumes_total{result="missing"}'}),
    (chat.ResumeRefused(CHAT, LEG, ErrorCode.RATCHET_DESYNC), {'hermes_resumes_total{result="desync"}'}),
    (chat.ResumeRefused(CHAT, None, ErrorCode.ROLLBACK_DETECTED), {'hermes_resumes_total{result="rollback"}'}),
    (chat.ResumeRefused(CHAT, LEG, ErrorCode.AUTH_FAILED), {'hermes_resumes_total{result="refused"}'}),
    (chat.ChatQuarantined(CHAT), {'hermes_keystore_rollback_total{kind="peer"}'}),
    (
        chat.ChatMoved(CHAT, LEG, arrived=True),
        {'hermes_chat_moves_total{channel="leg",direction="arrived"}'},
    ),
    (
        chat.ChatMoved(CHAT, TIELINE, arrived=False),
        {'hermes_chat_moves_total{channel="tieline",direction="left"}'},
    ),
    (chat.ChatErased(CHAT, CloseReason.DELETED, was_open=True), {'hermes_chat_erasures_total{reason="DELETED"}'}),
    (
        chat.ChatErased(CHAT, CloseReason.EXPIRED, was_open=True),
        {'hermes_chat_erasures_total{reason="EXPIRED"}', 'hermes_chats_expired_total{reason="idle"}'},
    ),
    (
        chat.ChatErased(CHAT, CloseReason.EXPIRED, was_open=False),
        {'hermes_chat_erasures_total{reason="EXPIRED"}', 'hermes_chats_expired_total{reason="handshake"}'},
    ),
    (
        chat.NoticeDelivered(CHAT, CloseReason.NODE_SHUTDOWN),
        {'hermes_teardown_notices_total{reason="NODE_SHUTDOWN",result="delivered"}'},
    ),
    (refused(ErrorCode.REPLAYED_FRAME), {error("REPLAYED_FRAME"), 'hermes_replay_rejections_total{kind="frame"}'}),
    (refused(ErrorCode.REPLAYED_KEY), {error("REPLAYED_KEY"), 'hermes_replay_rejections_total{kind="key"}'}),
    (
        refused(ErrorCode.AUTH_FAILED, TIELINE),
        {error("AUTH_FAILED"), 'hermes_ratchet_failures_total{channel="tieline",reason="authentication"}'},
    ),
    (
        refused(ErrorCode.RATCHET_DESYNC),
        {error("RATCHET_DESYNC"), 'hermes_ratchet_failures_total{channel="leg",reason="desync"}'},
    ),
    (refused(ErrorCode.BACKPRESSURE), {error("BACKPRESSURE"), 'hermes_throttled_total{scope="chat"}'}),
    (refused(ErrorCode.HANDSHAKE_THROTTLED), {error("HANDSHAKE_THROTTLED"), 'hermes_throttled_total{scope="handshake"}'}),
    (refused(ErrorCode.REKEY_THROTTLED), {error("REKEY_THROTTLED"), 'hermes_throttled_total{scope="rekey"}'}),
    (refused(ErrorCode.LIMIT_EXCEEDED), {error("LIMIT_EXCEEDED"), 'hermes_throttled_total{scope="app"}'}),
    (refused(ErrorCode.LIMIT_EXCEEDED, TIELINE), {error("LIMIT_EXCEEDED"), 'hermes_throttled_total{scope="peer"}'}),
    (refused(ErrorCode.CHAT_NOT_FOUND), {error("CHAT_NOT_FOUND")}),
    (chat.SessionOpened(APP), {'hermes_sessions_total{result="accepted"}'}),
    (chat.SessionReplaced(APP), {'hermes_sessions_total{result="replaced"}'}),
    (chat.SessionEnded(APP, too_slow=False), set()),
    (chat.SessionEnded(APP, too_slow=True), {'hermes_sessions_total{result="too_slow"}'}),
    (
        chat.SessionRefused(ErrorCode.AUTH_FAILED, "why"),
        {'hermes_sessions_total{result="refused"}', error("AUTH_FAILED")},
    ),
    (
        chat.SessionRefused(ErrorCode.LIMIT_EXCEEDED, "why"),
        {'hermes_sessions_total{result="refused"}', error("LIMIT_EXCEEDED"), 'hermes_throttled_total{scope="stream"}'},
    ),
    (chat.BatchRefused(APP, None, ErrorCode.INVALID_FRAME, "why"), {error("INVALID_FRAME")}),
]


def counted(registry: CollectorRegistry) -> set[str]:
    """Counters and histogram counts that are not 0."""
    found = set()
    for family in registry.collect():
        if family.name.startswith(("process", "hermes_build")):
            continue
        for sample in family.samples:
            if sample.value and sample.name.endswith(("_total", "_count")):
                text = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                found.add(f"{sample.name}{{{text}}}" if text else sample.name)
    return found


@pytest.mark.parametrize(("event", "expected"), EXPECTED, ids=lambda v: type(v).__name__)
def test_chat_event(event: chat.NodeEvent, expected: set[str]) -> None:
    metrics = NodeMetrics(version="test")
    record_node_event(metrics, event)
    assert counted(metrics.registry) == expected


def test_every_kind_of_event_is_covered() -> None:
    assert {type(event) for event, _ in EXPECTED} == set(typing.get_args(chat.NodeEvent))


def test_every_code_can_be_refused() -> None:
    metrics = NodeMetrics(version="test")
    for code in ErrorCode:
        record_chat_event(metrics, refused(code))
    assert {e for e in counted(metrics.registry) if "router_errors" in e} == {error(code.name) for code in ErrorCode}


def test_mesh_events() -> None:
    metrics = NodeMetrics(version="test")
    for state in MemberState:
        record_mesh_event(metrics, mesh.MemberStateChanged(NODE, MemberState.ALIVE, state))
    record_mesh_event(metrics, mesh.IdentityConflict(NODE))
    for lie in Lie:
        record_mesh_event(metrics, LiarNamed(NODE, lie))
    record_mesh_event(metrics, mesh.MemberEvicted(NODE))
    assert counted(metrics.registry) == {
        *(f'hermes_mesh_state_transitions_total{{to="{state.name.lower()}"}}' for state in MemberState),
        *(f'hermes_mesh_lies_total{{lie="{lie.name.lower()}"}}' for lie in Lie),
        "hermes_mesh_identity_conflicts_total",
        "hermes_mesh_evicted_peers_total",
    }


ALIVE, SUSPECT, DEAD, LEFT = MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT


@pytest.mark.parametrize(
    ("before", "after", "cause", "counted_as"),
    [
        (None, ALIVE, Cause.NEW, None),
        (ALIVE, SUSPECT, Cause.SILENT, "made"),
        (ALIVE, SUSPECT, Cause.ACCUSED, "heard"),
        (SUSPECT, ALIVE, Cause.ANSWERED, "cancelled"),
        (SUSPECT, ALIVE, Cause.CONTRADICTED, "refuted"),
        (SUSPECT, DEAD, Cause.UNANSWERED, "buried"),
        (SUSPECT, LEFT, Cause.DEPARTED, "left"),
        (ALIVE, LEFT, Cause.DEPARTED, None),
        (DEAD, ALIVE, Cause.ANSWERED, None),
        (DEAD, ALIVE, Cause.CONTRADICTED, None),
    ],
)
def test_a_suspicion_counts_when_it_begins_and_when_it_ends(
    before: MemberState | None, after: MemberState, cause: Cause, counted_as: str | None
) -> None:
    metrics = NodeMetrics(version="test")
    record_swim_event(metrics, StandingChanged(NODE, before, after, cause))
    expected = {f'hermes_mesh_suspicions_total{{event="{counted_as}"}}'} if counted_as else set()
    assert counted(metrics.registry) == expected


def test_each_contradiction_of_this_nodes_own_death_counts() -> None:
    metrics = NodeMetrics(version="test")
    record_swim_event(metrics, OwnIncarnationRaised(7))
    assert counted(metrics.registry) == {"hermes_mesh_refutations_total"}


@pytest.mark.parametrize(("renewed", "how"), [(True, "renewed"), (False, "replaced")])
def test_a_key_that_was_renewed_is_told_from_one_that_nobody_vouches_for(renewed: bool, how: str) -> None:
    metrics = NodeMetrics(version="test")
    record_swim_event(metrics, KeyReplaced(NODE, renewed))
    assert counted(metrics.registry) == {f'hermes_mesh_keys_replaced_total{{how="{how}"}}'}
