"""What node and operator expose, for judging expressions: names, their labels, and the values that exist from the start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import promql_parser

from alerts.catalogue import RECORDINGS
from hermes_node.metrics.registry import NodeMetrics
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.status.conditions import Condition
from tools.generate_metrics import metric_families

# Of Prometheus itself, and what a scrape adds to every series.
OUTSIDE = {"up": set[str](), "ALERTS": {"alertname", "alertstate"}}
SCRAPED = {"namespace", "mesh", "pod", "job", "le"}
CONDITIONS = ("Ready", "Progressing", "Degraded", "CertificatesReady", "KeystoresSealed", "ResumeVerified", "RolloutPaused")
VARIABLES = {"$namespace", "$mesh", "$pod", ".*"}


@dataclass
class Known:
    labels: dict[str, set[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)


def known_series() -> Known:
    """Built from real registries with one mesh in the operator's."""
    operator = OperatorMetrics()
    operator.track_mesh("chat", "a")
    operator.show_mesh("chat", "a", 3, 3, tuple(Condition(name, "True", "", "") for name in CONDITIONS))
    operator.show_failures("chat", "a", [])
    known = Known(labels={name: set(labels) for name, labels in OUTSIDE.items()})
    for recording in RECORDINGS:
        known.labels[recording.name] = set()
    for registry in (NodeMetrics(version="1").registry, operator.registry):
        for name, kind, labels, _ in metric_families(registry):
            names = [name] if kind != "histogram" else [f"{name}_{part}" for part in ("bucket", "count", "sum")]
            for exposed in names:
                known.labels.setdefault(exposed, set()).update(labels)
        for family in registry.collect():
            for sample in family.samples:
                for label, value in sample.labels.items():
                    known.values.setdefault((sample.name, label), set()).add(value)
    return known


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def complaints(expr: str, known: Known) -> list[str]:
    """Why this expression cannot be meant: names, labels or values that nothing exposes."""
    found = []
    for selector in selectors(expr):
        name = selector.name or ""
        if name not in known.labels:
            found.append(f"no such series: {name}")
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in known.labels[name] | SCRAPED:
                found.append(f"{name} has no label {matcher.name}")
            elif (values := known.values.get((name, matcher.name))) and matcher.value not in VARIABLES:
                found += [f"{name} never has {matcher.name}={v}" for v in matcher.value.split("|") if v not in values]
    labels_in_by = re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expr)
    wanted = {label.strip() for group in labels_in_by for label in group.split(",")} - SCRAPED - {""}
    offered = {label for selector in selectors(expr) for label in known.labels.get(selector.name or "", ())}
    found += [f"no series in this expression has the label {label}" for label in sorted(wanted - offered)]
    return found
