"""docs/reference/metrics.md from the metrics of node and operator, as they register themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from hermes_node.metrics.family_types import ReadGaugeFamily
from hermes_node.metrics.registry import NodeMetrics
from hermes_operator.metrics import OperatorMetrics
from tools.generated_files import Files, run

PAGE = "docs/reference/metrics.md"

_HEAD = """# Metrics

Made by `python -m tools.generate_metrics` from `node/hermes_node/metrics/` and `operator/hermes_operator/metrics.py`.

Prometheus adds `namespace`, `mesh` and `pod` when it scrapes a node (see [observability](../observability.md)). Every series of
a node exists from its start with 0, and no label grows with chats, apps, keys or messages.
Histograms have the usual `_bucket`, `_count` and `_sum`.
"""

_TITLES = {
    "node": "\n## Node\nServed at `GET /metrics` of the admin port (9090).\n",
    "operator": "\n## Operator\nServed at `GET /metrics` of its port `metrics`. Series with `mesh` go away with the mesh.\n",
}
_TABLE = "\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"


def render() -> Files:
    node = NodeMetrics(version="").registry
    operator = OperatorMetrics().registry
    sections = (("node", node), ("operator", operator))
    return {PAGE: _HEAD + "".join(_TITLES[name] + _TABLE + "".join(_rows(registry)) for name, registry in sections)}


def _rows(registry: CollectorRegistry) -> Iterable[str]:
    for name, kind, labels, text in sorted(metric_families(registry)):
        yield f"| `{name}` | {kind} | {', '.join(labels)} | {text} |\n"


def metric_families(registry: CollectorRegistry) -> list[tuple[str, str, tuple[str, ...], str]]:
    """(exposed name, type, labels, help) of every family, also of those that have no series yet."""
    found: list[tuple[str, str, tuple[str, ...], str]] = []
    for collector in dict.fromkeys(registry._collector_to_names):  # noqa: SLF001 - it offers no public list of collectors
        labels = _labels(collector)
        for family in collector.collect():
            shown = labels or _labels_in_use(family)
            found.append((_exposed(family.name, family.type), _kind(family.type), shown, family.documentation))
    return found


def _labels(collector: Any) -> tuple[str, ...]:
    if isinstance(collector, ReadGaugeFamily):
        return (collector.label,)
    return tuple(getattr(collector, "_labelnames", ()))


def _labels_in_use(family: Any) -> tuple[str, ...]:
    """Those of an info, which are its content."""
    return tuple(sorted({label for sample in family.samples for label in sample.labels} - {"le"}))


def _exposed(name: str, kind: str) -> str:
    return name + {"counter": "_total", "info": "_info"}.get(kind, "")


def _kind(kind: str) -> str:
    return "gauge" if kind == "info" else kind


if __name__ == "__main__":
    sys.exit(run(render))
