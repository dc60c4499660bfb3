"""Every series of a node exists from the start, and no label can grow with what an outsider does."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from hermes_core.clock_check import ClockDoubt
from hermes_core.errors import ErrorCode
from hermes_core.mesh.homes.machine import EntryFate
from hermes_core.mesh.homes.searches import LookUpResult
from hermes_core.mesh.lies import Lie
from hermes_core.mesh.swim.output import ProbeResult
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay.admission import AppBudget
from hermes_front.owner.reports import EndReason, Figures
from hermes_h2.events import Refusal
from hermes_node.metrics import labels
from hermes_node.metrics.grpc_calls import CODES
from hermes_node.metrics.keystore_series import KeystoreView
from hermes_node.metrics.registry import GRPC_STREAMS, NodeMetrics
from hermes_wire.http_server import RefusedHttp

FREE_LABELS = {"version", "revision", "protocol"}  # of hermes_build_info: one series a process

ALLOWED: dict[str, set[str]] = {
    "scope": {*labels.ChatScope, *labels.ThrottleScope},
    "channel": set(labels.ChannelLabel),
    "role": {*labels.HandshakeRole, *labels.EntryRole},
    "lie": set(labels.LieLabel),
    "direction": {*labels.MessageDirection, *labels.MoveDirection, *labels.ProbeDirection, *labels.LinkDirection},
    "kind": {
        *labels.ReplayKind,
        *labels.TamperKind,
        *labels.RollbackKind,
        *labels.CertificateKind,
        *labels.FrontConnection,
        *Refusal,
        *RefusedHttp,
    },
    "doubt": set(ClockDoubt),
    "event": set(labels.SuspicionLabel),
    "fate": set(EntryFate),
    "how": set(labels.KeyChange),
    "budget": {*AppBudget, *labels.MeshBudget},
    "purpose": set(labels.LinkPurpose),
    "trigger": set(labels.RekeyTrigger),
    "operation": set(labels.KeystoreOperation),
    "state": set(labels.MemberStateLabel),
    "to": set(labels.MemberStateLabel),
    "code": {code.name for code in ErrorCode},
    "reason": {
        labels.NO_REASON,
        *(code.name for code in ErrorCode),
        *(reason.name for reason in CloseReason),
        *labels.RatchetFailure,
        *labels.ExpiryReason,
        *labels.CarryRefusalLabel,
        *EndReason,
    },
    "result": {
        *labels.SessionResult,
        *labels.HandshakeResult,
        *labels.MessageResult,
        *labels.RekeyResult,
        *labels.ResumeResult,
        *labels.NoticeResult,
        *labels.OperationResult,
        *labels.DialResult,
        *ProbeResult,
        *LookUpResult,
    },
    "grpc_type": {"unary", "client_stream", "server_stream", "bidi_stream"},
    "grpc_service": set(GRPC_STREAMS),
    "grpc_method": {method for methods in GRPC_STREAMS.values() for method in methods},
    "grpc_code": set(CODES.values()),
}


@pytest.fixture
def metrics() -> NodeMetrics:
    return NodeMetrics(version="1.2.3", revision="abc")


def scrape(metrics: NodeMetrics) -> Iterable[Metric]:
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    return text_string_to_metric_families(body.decode())


def value(metrics: NodeMetrics, name: str, **wanted: str) -> float:
    found = metrics.registry.get_sample_value(name, wanted)
    assert found is not None, f"no series {name}{wanted}"
    return found


def test_every_label_is_known_and_bounded(metrics: NodeMetrics) -> None:
    for family in scrape(metrics):
        for sample in family.samples:
            for label, text in sample.labels.items():
                if label == "le" or (family.name == "hermes_build_info" and label in FREE_LABELS):
                    continue
                assert label in ALLOWED, f"{sample.name}: label {label} is not in the allowed list"
                assert text in ALLOWED[label], f"{sample.name}: {label}={text!r} is not a known value"


def test_series_do_not_grow_with_use(metrics: NodeMetrics) -> None:
    before = sum(len(family.samples) for family in scrape(metrics))
    for code in ErrorCode:
        metrics.chats.count_error(code)
        for role in labels.HandshakeRole:
            metrics.chats.observe_handshake(role, code)
    for _ in range(1000):
        metrics.chats.count_messages(labels.MessageDirection.FORWARD, labels.MessageResult.RELAYED, 3)
    assert sum(len(family.samples) for family in scrape(metrics)) == before


def test_counters_are_born_at_zero(metrics: NodeMetrics) -> None:
    counters = [s for f in scrape(metrics) if f.type == "counter" and not f.name.startswith("process_") for s in f.samples]
    assert len(counters) > 200
    assert {s.value for s in counters} == {0.0}


def test_no_created_series(metrics: NodeMetrics) -> None:
    assert not [s.name for f in scrape(metrics) for s in f.samples if s.name.endswith("_created")]


def test_names_and_help(metrics: NodeMetrics) -> None:
    for family in scrape(metrics):
        assert family.documentation.endswith("."), family.name
        for sample in family.samples:
            assert sample.name.startswith(("hermes_", "grpc_server_", "process_")), sample.name
            assert not {"ms", "millis", "milliseconds", "kib", "minutes"} & set(sample.name.split("_")), sample.name


def test_one_handshake_counts_once_with_its_result(metrics: NodeMetrics) -> None:
    metrics.chats.observe_handshake(labels.HandshakeRole.INITIATOR)
    metrics.chats.observe_handshake(labels.HandshakeRole.RESPONDER, ErrorCode.ROUTE_UNAVAILABLE)
    metrics.chats.observe_handshake(labels.HandshakeRole.RESPONDER, ErrorCode.TARGET_OFFLINE)
    name = "hermes_handshakes_total"
    assert value(metrics, name, role="initiator", result="ok", reason="none") == 1
    assert value(metrics, name, role="responder", result="failed", reason="ROUTE_UNAVAILABLE") == 1
    assert value(metrics, name, role="responder", result="refused", reason="TARGET_OFFLINE") == 1
    assert sum(s.value for f in scrape(metrics) if f.name == "hermes_handshakes" for s in f.samples) == 3


def test_keystore_is_sealed_until_it_is_bound(metrics: NodeMetrics) -> None:
    assert value(metrics, "hermes_keystore_sealed") == 1
    assert value(metrics, "hermes_keystore_records") == 0
    metrics.keystore.bind(lambda: KeystoreView(records=7, generation=2, commit_counter=30, size_bytes=4096))
    assert value(metrics, "hermes_keystore_sealed") == 0
    assert value(metrics, "hermes_keystore_records") == 7
    assert value(metrics, "hermes_keystore_generation") == 2
    assert value(metrics, "hermes_keystore_commit_counter") == 30
    assert value(metrics, "hermes_keystore_size_bytes") == 4096
    metrics.keystore.unbind()
    assert value(metrics, "hermes_keystore_sealed") == 1


def test_a_failed_operation_is_timed_counted_and_passed_on(metrics: NodeMetrics) -> None:
    with pytest.raises(OSError, match="disk"), metrics.keystore.operation(labels.KeystoreOperation.COMMIT):
        raise OSError("disk")
    with metrics.keystore.operation(labels.KeystoreOperation.COMMIT):
        pass
    name = "hermes_keystore_operations_total"
    assert value(metrics, name, operation="commit", result="failure") == 1
    assert value(metrics, name, operation="commit", result="success") == 1
    assert value(metrics, "hermes_keystore_operation_duration_seconds_count", operation="commit") == 2


def test_gauges_follow_their_source(metrics: NodeMetrics) -> None:
    members = {labels.MemberStateLabel.ALIVE: 3.0}
    metrics.mesh.members.bind(lambda state: members.get(labels.MemberStateLabel(state), 0.0))
    metrics.sessions.active.bind(lambda: 5)
    assert value(metrics, "hermes_mesh_members", state="alive") == 3
    assert value(metrics, "hermes_mesh_members", state="dead") == 0
    members[labels.MemberStateLabel.DEAD] = 1.0
    assert value(metrics, "hermes_mesh_members", state="dead") == 1
    assert value(metrics, "hermes_sessions_active") == 5


def test_what_an_owner_counts_is_a_counter(metrics: NodeMetrics) -> None:
    refused = {AppBudget.LOOK_UPS: 2}
    metrics.chats.budget_refusals.bind(lambda budget: refused.get(AppBudget(budget), 0))
    family = next(family for family in scrape(metrics) if family.name == "hermes_app_budget_refusals")
    assert family.type == "counter"
    assert {sample.labels["budget"]: sample.value for sample in family.samples if sample.value} == {"look_ups": 2}
    assert len(family.samples) == len(AppBudget)


def test_a_certificate_has_no_series_before_it_is_known(metrics: NodeMetrics) -> None:
    name = "hermes_tls_certificate_not_after_timestamp_seconds"
    assert metrics.registry.get_sample_value(name, {"kind": "mesh"}) is None
    metrics.mesh.set_certificate_expiry(labels.CertificateKind.MESH, 1.8e9)
    assert value(metrics, name, kind="mesh") == 1.8e9


@pytest.mark.parametrize("version", ["x", "1.0.0.\udcff", "1.x", ""])
def test_a_version_that_is_none_is_answered(metrics: NodeMetrics, version: str) -> None:
    body, content_type = metrics.exposition(f"application/openmetrics-text; version={version}")
    assert body
    assert content_type.isascii()


def test_openmetrics_is_offered(metrics: NodeMetrics) -> None:
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_histograms_have_finite_ascending_buckets(metrics: NodeMetrics) -> None:
    for family in scrape(metrics):
        if family.type != "histogram":
            continue
        bounds = [float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")]
        assert len(bounds) > 5
        assert math.inf in bounds


def test_only_a_members_own_answer_is_timed(metrics: NodeMetrics) -> None:
    for result in ProbeResult:
        metrics.swim.observe_probe(result, 0.3)
        assert value(metrics, "hermes_mesh_probes_total", result=result) == 1
    assert value(metrics, "hermes_mesh_probe_duration_seconds_count") == 1


def test_each_lie_has_a_label() -> None:
    assert [lie.name for lie in Lie] == [label.name for label in labels.LieLabel]


def test_figures_of_fronts_are_read_where_they_live() -> None:
    metrics = NodeMetrics(version="1")
    metrics.fronts.bind(lambda: Figures(2, 1 << 20, 30, 10, 5, 6, 7, 8, 9))
    text = metrics.exposition()[0].decode()
    for line in (
        "hermes_fronts 2.0",
        "hermes_front_resident_bytes 1.048576e+06",
        'hermes_front_connections{kind="proven"} 20.0',
        'hermes_front_connections{kind="stranger"} 10.0',
        'hermes_front_link_bytes_total{direction="in"} 5.0',
        'hermes_front_link_bytes_total{direction="out"} 6.0',
        'hermes_front_link_frames_total{direction="in"} 7.0',
        'hermes_front_link_frames_total{direction="out"} 8.0',
        "hermes_front_credit_waits_total 9.0",
    ):
        assert f"\n{line}\n" in text, line
