"""The configuration for a bare Prometheus gives series the labels that dashboards and alerts read."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hermes_operator import names
from tools import prometheus_config
from tools.generated_files import ROOT
from tools.prometheus_config import Target, build_config, kubernetes_scrape_configs, static_scrape_config

Json = dict[str, Any]


def relabel(steps: list[Json], meta: dict[str, str]) -> dict[str, str] | None:
    """What Prometheus does with these steps; None: the target is dropped."""
    labels = dict(meta)
    for step in steps:
        value = ";".join(labels.get(name, "") for name in step["source_labels"])
        matched = re.fullmatch(step.get("regex", ".*"), value) is not None
        if (step["action"] == "keep" and not matched) or (step["action"] == "drop" and matched):
            return None
        if step["action"] == "replace":
            labels[step["target_label"]] = value
    return {name: value for name, value in labels.items() if not name.startswith("__")}


def pod(name: str, labels: dict[str, str], port: str = "metrics", phase: str = "Running") -> dict[str, str]:
    meta = {
        "__meta_kubernetes_namespace": "chat",
        "__meta_kubernetes_pod_name": name,
        "__meta_kubernetes_pod_phase": phase,
        "__meta_kubernetes_pod_container_port_name": port,
    }
    for label, value in labels.items():
        meta["__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", label)] = value
    return meta


@pytest.fixture
def jobs() -> dict[str, Json]:
    return {config["job_name"]: config for config in kubernetes_scrape_configs()}


def test_nodes_are_found_by_their_mesh(jobs: dict[str, Json]) -> None:
    steps = jobs["hermes-node"]["relabel_configs"]
    labels = names.object_labels("a")
    assert relabel(steps, pod("a-0", labels)) == {"namespace": "chat", "mesh": "a", "pod": "a-0"}
    assert relabel(steps, pod("a-0", labels, port="app")) is None
    assert relabel(steps, pod("a-0", labels, phase="Succeeded")) is None
    assert relabel(steps, pod("other", {})) is None


def test_the_operator_is_found_and_its_own_labels_are_kept(jobs: dict[str, Json]) -> None:
    config = jobs["hermes-operator"]
    found = relabel(config["relabel_configs"], pod("o-0", {"app.kubernetes.io/name": "hermes-operator"}))
    assert found == {"namespace": "chat", "pod": "o-0"}
    assert relabel(config["relabel_configs"], pod("a-0", names.object_labels("a"))) is None
    assert config["honor_labels"] is True


def test_known_addresses() -> None:
    config = static_scrape_config([Target("127.0.0.1:9", "local-0")], namespace="n", mesh="m")
    assert config["job_name"] == "hermes-node"
    assert config["static_configs"] == [
        {"targets": ["127.0.0.1:9"], "labels": {"namespace": "n", "mesh": "m", "pod": "local-0"}}
    ]
    whole = build_config([config], ["rules.yaml"], interval="1s")
    assert whole["rule_files"] == ["rules.yaml"]
    assert whole["global"]["scrape_interval"] == "1s"


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert prometheus_config.main(["127.0.0.1:9=local-0"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["scrape_configs"][0]["static_configs"][0]["labels"]["pod"] == "local-0"
    assert prometheus_config.main([]) == 0
    assert "kubernetes_sd_configs" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        prometheus_config.main(["127.0.0.1:9"])


def test_the_example_is_what_the_source_says() -> None:
    for name, text in prometheus_config.render().items():
        assert (ROOT / name).read_text() == text
