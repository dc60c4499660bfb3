"""The operator's metrics that alerts read: who failed and why, and that nothing of a deleted mesh stays."""

from __future__ import annotations

from hermes_operator.metrics import OperatorMetrics
from hermes_operator.observe.failures import KEYSTORE_REASONS
from hermes_operator.status.conditions import Condition

NAME = "hermes_operator_mesh_failed_nodes"


def failed(metrics: OperatorMetrics) -> dict[str, float]:
    samples = (s for family in metrics.registry.collect() for s in family.samples if s.name == NAME)
    return {s.labels["reason"]: s.value for s in samples if s.value}


def test_failures_are_counted_by_reason_and_forgotten_when_cured() -> None:
    metrics = OperatorMetrics()
    metrics.show_failures("chat", "a", ["KeystoreTampered", "KeystoreTampered", "KeystoreIo"])
    assert failed(metrics) == {"KeystoreTampered": 2, "KeystoreIo": 1}
    metrics.show_failures("chat", "a", [])
    assert failed(metrics) == {}


def test_the_reasons_that_alerts_name_exist() -> None:
    assert {"KeystoreTampered"} <= KEYSTORE_REASONS


def test_a_deleted_mesh_leaves_no_series() -> None:
    metrics = OperatorMetrics()
    metrics.track_mesh("chat", "a")
    metrics.show_mesh("chat", "a", 3, 2, (Condition("Ready", "False", "X", ""),))
    metrics.show_failures("chat", "a", ["KeystoreTampered"])
    metrics.forget_mesh("chat", "a")
    assert [s for family in metrics.registry.collect() for s in family.samples if s.labels.get("mesh")] == []
