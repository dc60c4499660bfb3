"""A configuration for a Prometheus without the Prometheus operator: finds the pods itself, or is told where nodes are.

`python -m tools.prometheus_config > prometheus.yaml` for Kubernetes; `… HOST:PORT=NODE …` for nodes on known addresses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tools.yaml_text import dump_yaml

Json = dict[str, Any]

NODE_JOB = "hermes-node"
OPERATOR_JOB = "hermes-operator"
METRICS_PORT = "metrics"
EXAMPLE = "alerts/prometheus.example.yaml"

_POD = "__meta_kubernetes_pod"


@dataclass(frozen=True)
class Target:
    """One node: where its admin server listens (host:port) and its name, which becomes the label `pod`."""

    address: str
    pod: str


def build_config(scrape_configs: Iterable[Json], rule_files: Iterable[str] = (), interval: str = "15s") -> Json:
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": list(rule_files),
        "scrape_configs": list(scrape_configs),
    }


def kubernetes_scrape_configs() -> list[Json]:
    """Every mesh's nodes and the operator, in all namespaces, with the labels that dashboards and alerts read."""
    return [
        _pods(
            NODE_JOB,
            [
                _keep(f"{_POD}_label_hermesmesh_io_mesh", ".+"),
                _copy(f"{_POD}_label_hermesmesh_io_mesh", "mesh"),
            ],
        ),
        # Its series of a mesh carry the mesh's own namespace.
        _pods(OPERATOR_JOB, [_keep(f"{_POD}_label_app_kubernetes_io_name", OPERATOR_JOB)]) | {"honor_labels": True},
    ]


def static_scrape_config(targets: Sequence[Target], *, namespace: str = "local", mesh: str = "local") -> Json:
    """Nodes on known addresses; there is no operator, so alerts that need one stay silent or must be switched off."""
    return {
        "job_name": NODE_JOB,
        "static_configs": [
            {"targets": [target.address], "labels": {"namespace": namespace, "mesh": mesh, "pod": target.pod}}
            for target in targets
        ],
    }


def _pods(job: str, relabelings: list[Json]) -> Json:
    running = {"action": "drop", "source_labels": [f"{_POD}_phase"], "regex": "Pending|Succeeded|Failed|Unknown"}
    return {
        "job_name": job,
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": [
            _keep(f"{_POD}_container_port_name", METRICS_PORT),
            running,
            *relabelings,
            _copy("__meta_kubernetes_namespace", "namespace"),
            _copy(f"{_POD}_name", "pod"),
        ],
    }


def _keep(label: str, regex: str) -> Json:
    return {"action": "keep", "source_labels": [label], "regex": regex}


def _copy(label: str, target: str) -> Json:
    return {"action": "replace", "source_labels": [label], "target_label": target}


def render() -> dict[str, str]:
    head = "# Made by `python -m tools.generate prometheus`; for a Prometheus without the Prometheus operator.\n"
    return {EXAMPLE: head + dump_yaml(build_config(kubernetes_scrape_configs(), ["hermes.rules.yaml"], "30s"))}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.prometheus_config", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="HOST:PORT=NODE", help="nodes on known addresses, instead of Kubernetes")
    given = parser.parse_args(arguments)
    named = [target.rpartition("=") for target in given.targets]
    if any(not address for address, _, _ in named):
        parser.error("a target is HOST:PORT=NODE, for example 127.0.0.1:9090=local-0")
    targets = [Target(address, node) for address, _, node in named]
    scrape_configs = [static_scrape_config(targets)] if targets else kubernetes_scrape_configs()
    sys.stdout.write(dump_yaml(build_config(scrape_configs, ["alerts/hermes.rules.yaml"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
