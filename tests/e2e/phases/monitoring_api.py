"""The API of the Prometheus operator, as far as Hermes delivers objects of it, and how a Prometheus here obeys them.

Only the resource definitions are installed: what the chart and the operator deliver (PodMonitor, ServiceMonitor,
PrometheusRule) is read back from the API server and turned into the configuration of a Prometheus on this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.harness.scrape_targets import meta_label

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "monitoring.coreos.com"
KINDS = {"PodMonitor": "podmonitors", "ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}

Json = dict[str, Any]


def monitoring_crds() -> list[Json]:
    """Return definitions that accept any content."""
    return [_crd(kind, plural) for kind, plural in KINDS.items()]


def _crd(kind: str, plural: str) -> Json:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def scrape_configs(monitor: Json, targets: Json) -> Iterator[Json]:
    """Return what the Prometheus operator makes of a PodMonitor, on top of a configuration that finds the pods."""
    meta, spec = monitor["metadata"], monitor["spec"]
    keep: list[Json] = [
        {"action": "keep", "source_labels": [meta_label(name)], "regex": value}
        for name, value in spec["selector"]["matchLabels"].items()
    ]
    for endpoint in spec["podMetricsEndpoints"]:
        yield targets | {
            "job_name": f"podMonitor/{meta['namespace']}/{meta['name']}/{endpoint['port']}",
            "metrics_path": endpoint.get("path", "/metrics"),
            "honor_labels": endpoint.get("honorLabels", False),
            "relabel_configs": keep + [_relabeling(step) for step in endpoint.get("relabelings", [])],
        }


def rule_file(rule: Json) -> Json:
    """Return the rule file that a PrometheusRule stands for."""
    return {"groups": rule["spec"]["groups"]}


def _relabeling(step: Json) -> Json:
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    return {names.get(key, key): value for key, value in step.items()}
