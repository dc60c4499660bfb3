"""Metrics of the sealed keystore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from hermes_core.clock_check import ClockDoubt
from hermes_node.metrics.family_types import CounterSeries, HistogramSeries, ReadGauge
from hermes_node.metrics.labels import KeystoreOperation, OperationResult, RollbackKind, TamperKind

OPERATION_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class KeystoreView:
    """What an open keystore says of itself at a scrape."""

    records: int
    generation: int
    commit_counter: int
    size_bytes: int


CLOSED_VIEW: Final = KeystoreView(0, 0, 0, 0)


class KeystoreMetrics:
    """Sealed until `bind` is called with how to read an open keystore, and after `unbind`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._read: Callable[[], KeystoreView | None] = lambda: None
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "hermes_keystore_sealed": ("1 while the keystore is not open, else 0.", lambda: float(self._read() is None)),
            "hermes_keystore_records": ("Sealed chat records.", lambda: self._view().records),
            "hermes_keystore_generation": ("Generation of the key that seals the records.", lambda: self._view().generation),
            "hermes_keystore_commit_counter": ("Commits so far; it never falls.", lambda: self._view().commit_counter),
            "hermes_keystore_size_bytes": ("Size of the keystore's files.", lambda: self._view().size_bytes),
        }
        for name, (text, read) in gauges.items():
            ReadGauge(registry, name, text).bind(read)
        self._operations = CounterSeries(
            registry,
            "hermes_keystore_operations_total",
            "Operations on the keystore.",
            {"operation": KeystoreOperation, "result": OperationResult},
        )
        self._seconds = HistogramSeries(
            registry,
            "hermes_keystore_operation_duration_seconds",
            "Time of operations on the keystore, failed ones included.",
            {"operation": KeystoreOperation},
            OPERATION_BUCKETS,
        )
        self._tamper = CounterSeries(
            registry, "hermes_keystore_tamper_total", "Content that is not what was written.", {"kind": TamperKind}
        )
        self._rollback = CounterSeries(
            registry, "hermes_keystore_rollback_total", "Proofs that the keystore is an older copy.", {"kind": RollbackKind}
        )

        self._clock = CounterSeries(
            registry,
            "hermes_clock_doubts_total",
            "Times that the system's clock contradicted the last time seen, or others' clocks; each kind once a run.",
            {"doubt": ClockDoubt},
        )

    def bind(self, read: Callable[[], KeystoreView]) -> None:
        """The keystore is open; `read` is called at every scrape and must not block."""
        self._read = read

    def unbind(self) -> None:
        """The keystore is sealed again."""
        self._read = lambda: None

    def observe_operation(self, operation: KeystoreOperation, result: OperationResult, seconds: float) -> None:
        self._operations.count(operation, result)
        self._seconds.observe(operation, seconds=seconds)

    @contextmanager
    def operation(self, operation: KeystoreOperation) -> Iterator[None]:
        """Time and count what the block does; an exception counts as a failure and goes on."""
        started = time.perf_counter()
        result = OperationResult.FAILURE
        try:
            yield
            result = OperationResult.SUCCESS
        finally:
            self.observe_operation(operation, result, time.perf_counter() - started)

    def count_tamper(self, kind: TamperKind) -> None:
        self._tamper.count(kind)

    def count_rollback(self, kind: RollbackKind) -> None:
        self._rollback.count(kind)

    def count_clock_doubt(self, doubt: ClockDoubt) -> None:
        self._clock.count(doubt)

    def _view(self) -> KeystoreView:
        return self._read() or CLOSED_VIEW
