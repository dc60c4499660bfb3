"""Metric families whose series all exist from the start: a counter born at 1 fires no `increase`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum, StrEnum
from itertools import product
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# `_created` would double the number of series, and nothing here asks when one was born.
disable_created_metrics()  # type: ignore[no-untyped-call]

Labels = dict[str, Iterable[Enum]]
Key = tuple[Enum, ...]


def label_value(value: Enum) -> str:
    """Words of ours as they are; wire codes by the name that documents and logs use."""
    return value.value if isinstance(value, StrEnum) else value.name


def _combinations(labels: Labels) -> Iterator[Key]:
    return product(*labels.values())


class CounterSeries:
    """A counter with a child for every combination of its labels' values, resolved once: no look-up by text where it counts."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, labels: Labels) -> None:
        family = Counter(name, text, tuple(labels), registry=registry)
        self._children = {key: family.labels(*map(label_value, key)) for key in _combinations(labels)}

    def count(self, *key: Enum, amount: int = 1) -> None:
        if amount:
            self._children[key].inc(amount)


class HistogramSeries:
    """As CounterSeries, for a histogram of seconds."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, labels: Labels, buckets: tuple[float, ...]) -> None:
        family = Histogram(name, text, tuple(labels), buckets=buckets, registry=registry)
        self._children = {key: family.labels(*map(label_value, key)) for key in _combinations(labels)}

    def observe(self, *key: Enum, seconds: float) -> None:
        self._children[key].observe(seconds)


class ReadGauge:
    """A gauge that is read from its source at every scrape, so that it can neither lag nor be forgotten; 0 until bound."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, initial: float = 0.0) -> None:
        self._gauge = Gauge(name, text, registry=registry)
        self._gauge.set(initial)

    def bind(self, read: Callable[[], float]) -> None:
        self._gauge.set_function(read)


class _ReadFamily:
    """One series for each value of one label, read from their source at every scrape; 0 until bound."""

    kind: ClassVar[type[CounterMetricFamily | GaugeMetricFamily]]

    def __init__(self, registry: CollectorRegistry, name: str, text: str, label: str, values: Iterable[StrEnum]) -> None:
        self._name = name
        self._text = text
        self.label = label
        self._values = tuple(values)
        self._read: Callable[[StrEnum], float] = lambda _value: 0.0
        registry.register(self)

    def bind(self, read: Callable[[StrEnum], float]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        family = self.kind(self._name, self._text, labels=[self.label])
        for value in self._values:
            family.add_metric([value.value], self._read(value))
        yield family


class ReadGaugeFamily(_ReadFamily):
    """As ReadGauge, one series for each value of one label; `read` gives all of them at once."""

    kind = GaugeMetricFamily


class ReadCounterFamily(_ReadFamily):
    """The same of what only grows; `_total` is added to its name."""

    kind = CounterMetricFamily


class ReadCounter:
    """As ReadGauge, of what only grows; `_total` is added to its name."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._read: Callable[[], float] = lambda: 0.0
        registry.register(self)

    def bind(self, read: Callable[[], float]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, self._read())
