"""Every table keyed by an enum, a type or a name is complete: a missing row would stop the node, or hide a fact.

Where mypy can hold a table (`match` with `assert_never`) it does; these are the others, and what goes by name.
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from hermes_core.crypto.suites import Suite
from hermes_core.errors import DEFAULT_SCOPE, ConfigError, ErrorCode, HermesError, KeystoreError
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId
from hermes_core.keystore.migration import _REWRITERS
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.tables import Table
from hermes_core.mesh.messages import MemberState
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay import events as chat
from hermes_core.relay.output import NodeOutput
from hermes_node.admin.server import _STATUS
from hermes_node.chats.driver import ChatPass
from hermes_node.chats.observer import ChatObserver
from hermes_node.config.sources import load_config
from hermes_node.errors import NodeError, describe_failure
from hermes_node.lifecycle.gauges import _KINDS
from hermes_node.logs.event_log import EventLog, Level
from hermes_node.logs.events import EVENTS
from hermes_node.metrics.codes import RATCHET_FAILURES, REPLAYS, RESUME_REFUSALS, THROTTLES, handshake_result
from hermes_node.metrics.labels import (
    CertificateKind,
    HandshakeResult,
    MemberStateLabel,
    RatchetFailure,
    ReplayKind,
    ResumeResult,
    ThrottleScope,
)
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.tls.setup import Section

NODE = Path(__file__).parents[3] / "node" / "hermes_node"
CHAT, LEG = ChatId(bytes(16)), ChannelKind.LEG
LOG_METHODS = {"info": 0, "warning": 0, "error": 0, "write": 1}
"""Where the event's name stands among the arguments."""


# Codes.


def test_every_code_has_a_scope_and_a_handshake_result() -> None:
    assert set(DEFAULT_SCOPE) == set(ErrorCode)
    assert {handshake_result(code) for code in ErrorCode} == {HandshakeResult.FAILED, HandshakeResult.REFUSED}
    assert handshake_result(None) is HandshakeResult.OK


def test_a_refused_message_counts_as_one_thing_and_every_thing_has_a_code() -> None:
    tables = [set(REPLAYS), set(RATCHET_FAILURES), set(THROTTLES), {ErrorCode.LIMIT_EXCEEDED}]
    assert len(set.union(*tables)) == sum(map(len, tables))
    assert set(REPLAYS.values()) == set(ReplayKind)
    assert set(RATCHET_FAILURES.values()) == set(RatchetFailure)
    # LIMIT_EXCEEDED is the app's, the peer's or the stream's, by where it happens.
    assert set(THROTTLES.values()) == set(ThrottleScope) - {ThrottleScope.APP, ThrottleScope.PEER, ThrottleScope.STREAM}


def test_every_result_of_a_resume_has_a_code_but_success_and_what_proves_nothing() -> None:
    assert set(RESUME_REFUSALS.values()) == set(ResumeResult) - {ResumeResult.RESUMED, ResumeResult.REFUSED}


def test_the_admin_server_answers_what_it_raises() -> None:
    raised = {
        node.attr
        for path in (NODE / "admin").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "ProtocolError"
        for node in call.args[:1]
        if isinstance(node, ast.Attribute)
    }
    assert raised == {code.name for code in _STATUS}


def test_every_failure_has_its_line_and_its_code() -> None:
    def walk(kind: type[KeystoreError | NodeError]) -> Iterator[type[KeystoreError | NodeError]]:
        yield kind
        for sub in kind.__subclasses__():
            yield from walk(sub)

    for kind in (*walk(KeystoreError), *walk(NodeError)):
        exit_code, line = describe_failure(kind())
        assert (exit_code, line.split(":")[0]) == (kind.exit_code, kind.code)
    assert describe_failure(HermesError("x"))[0] == NodeError.exit_code


# Labels, states and settings that go by name.


def test_states_of_members_are_labels_both_ways() -> None:
    assert {MemberStateLabel(state.name.lower()) for state in MemberState} == set(MemberStateLabel)
    assert {MemberState[label.value.upper()] for label in MemberStateLabel} == set(MemberState)


def test_every_server_with_a_certificate_has_a_kind() -> None:
    assert set(_KINDS) == set(get_args(Section))
    assert set(_KINDS.values()) == set(CertificateKind) - {CertificateKind.MESH_CA}


@pytest.mark.parametrize(
    ("variable", "names"),
    [("HERMES_LOG_LEVEL", {level.name for level in Level}), ("HERMES_CRYPTO_SUITES", {suite.name for suite in Suite})],
)
def test_what_a_setting_offers_is_what_there_is(variable: str, names: set[str]) -> None:
    with pytest.raises(ConfigError, match="is not ") as refused:
        load_config(None, {variable: "nothing"})
    offered = refused.value.detail.rpartition(" of ")[2].removesuffix(f" (from {variable})").split(", ")
    assert {name.upper().replace("-", "_") for name in offered} == names


def test_every_table_has_a_version_and_every_old_version_a_way_up() -> None:
    assert set(RECORD_VERSIONS) == set(Table)
    assert set(_REWRITERS) == {table for table, version in RECORD_VERSIONS.items() if version > 1}


# Events.


CHAT_EVENTS: list[chat.ChatEvent] = [
    chat.ChatOpened(CHAT, LEG, 0.1),
    chat.HandshakeFailed(CHAT, ErrorCode.TARGET_OFFLINE, rekey=False),
    chat.ChannelRekeyed(CHAT, LEG, 2),
    chat.SideResumed(CHAT, LEG),
    chat.ResumeRefused(CHAT, LEG, ErrorCode.RATCHET_DESYNC),
    chat.ChatQuarantined(CHAT),
    chat.RekeyRequired(CHAT),
    chat.ChatMoved(CHAT, LEG, arrived=True),
    chat.ChatErased(CHAT, CloseReason.DELETED, was_open=True),
    chat.NoticeDelivered(CHAT, CloseReason.DELETED),
    chat.MessageRefused(CHAT, LEG, ErrorCode.INVALID_FRAME, "why"),
]


@pytest.mark.parametrize("event", CHAT_EVENTS, ids=lambda event: type(event).__name__)
def test_each_event_of_a_chat_is_one_line(event: chat.ChatEvent) -> None:
    stream = io.StringIO()
    log = EventLog(node_id="n", level="debug", stream=stream)
    ChatObserver(log, NodeMetrics(version="test")).observe(ChatPass(NodeOutput(1, events=[event])))
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    names = {chat.MessageRefused: "chat_error", chat.ChatMoved: "chat_moved"}
    assert record["event"] == names.get(type(event), "chat_event")
    assert record.get("kind", type(event).__name__) == type(event).__name__


def test_every_event_of_a_chat_is_covered() -> None:
    assert {type(event) for event in CHAT_EVENTS} == set(get_args(chat.ChatEvent))


APP, NODE_ID = AppId("a" * 32), NodeId("node-1")
SESSION_EVENTS: list[tuple[chat.SessionEvent, str]] = [
    (chat.SessionOpened(APP), "app_connected"),
    (chat.SessionReplaced(APP), "app_replaced"),
    (chat.SessionRefused(ErrorCode.AUTH_FAILED, "why"), "app_refused"),
    (chat.SessionEnded(APP, too_slow=False), "app_disconnected"),
    (chat.SessionEnded(APP, too_slow=True), "app_too_slow"),
    (chat.BatchRefused(APP, None, ErrorCode.INVALID_FRAME, "why"), "app_invalid_batch"),
    (chat.BatchRefused(None, NODE_ID, ErrorCode.INVALID_FRAME, "why"), "peer_refused"),
]


@pytest.mark.parametrize(("event", "name"), SESSION_EVENTS)
def test_each_event_of_a_stream_is_one_line(event: chat.SessionEvent, name: str) -> None:
    stream = io.StringIO()
    log = EventLog(node_id="n", level="debug", stream=stream)
    ChatObserver(log, NodeMetrics(version="test")).observe(ChatPass(NodeOutput(1, events=[event])))
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == name


def test_every_event_of_a_stream_is_covered() -> None:
    assert {type(event) for event, _ in SESSION_EVENTS} == set(get_args(chat.SessionEvent))


def test_the_events_that_are_logged_are_those_that_are_listed() -> None:
    logged = {name for path in NODE.rglob("*.py") for name in _logged_names(ast.parse(path.read_text()))}
    assert logged == set(EVENTS)


def _logged_names(tree: ast.AST) -> Iterator[str]:
    """Texts that stand where a log's method takes the event's name; either branch of a conditional."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _is_log(call.func.value):
            at = LOG_METHODS.get(call.func.attr)
            for argument in call.args[at : at + 1] if at is not None else ():
                texts = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                yield from (str(text.value) for text in texts if isinstance(text, ast.Constant))


def _is_log(value: ast.expr) -> bool:
    return "log" in {getattr(value, "id", ""), getattr(value, "attr", "").removeprefix("_")}
