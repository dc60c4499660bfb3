"""The chart's values against their schema, and its rights against what the operator calls. tests/e2e renders it with helm."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hermes_operator.kube import kinds
from hermes_operator.process.watches import WATCHED

CHART = Path(__file__).parents[3] / "charts" / "hermes-operator"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def rules() -> list[dict[str, Any]]:
    text = (CHART / "templates" / "_helpers.tpl").read_text()
    body = text.partition('{{- define "hermes-operator.rules" -}}')[2].partition("{{- end }}")[0]
    return list(yaml.safe_load(body))


def verbs(group: str, resource: str) -> set[str]:
    return {verb for rule in rules() if group in rule["apiGroups"] and resource in rule["resources"] for verb in rule["verbs"]}


def test_default_values_are_valid_and_all_are_in_the_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)
    for path, value in _leaves(VALUES, SCHEMA):
        assert value is not None, path


@pytest.mark.parametrize(
    "wrong",
    [
        {"replica": 2},
        {"replicas": -1},
        {"image": {"digest": "sha256:short"}},
        {"crds": {"keep": "perhaps"}},
        {"monitoring": {"rules": {"enabled": "sometimes"}}},
        {"monitoring": {"rules": {"alerts": {"X": {"treshold": 1}}}}},
        {"watchNamespaces": ["UPPER"]},
        {"log": {"level": "loud"}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_every_value_is_used_and_every_used_value_exists() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    used = set(re.findall(r"\.Values\.([a-zA-Z.]+)", templates)) | {f"monitoring.{m}" for m in ("podMonitor", "rules")}
    for name in used:
        value: Any = VALUES
        for part in name.split("."):
            assert part in value, name
            value = value[part]
    for name in VALUES:
        assert any(path == name or path.startswith(f"{name}.") for path in used), name


def test_the_operator_may_do_what_it_does() -> None:
    applied = (
        kinds.STATEFULSETS,
        kinds.SERVICES,
        kinds.CONFIG_MAPS,
        kinds.SERVICE_ACCOUNTS,
        kinds.BUDGETS,
        kinds.NETWORK_POLICIES,
        kinds.POD_MONITORS,
    )
    for kind in applied:
        assert verbs(kind.group, kind.plural) >= {"get", "list", "create", "patch", "delete"}, kind
    for group, _, plural in (*WATCHED, ("hermesmesh.io", "v1alpha1", "hermesmeshes")):
        assert verbs(group, plural) >= {"list", "watch"}, plural
    assert verbs("hermesmesh.io", "hermesmeshes/status") == {"update"}


def test_and_nothing_beyond() -> None:
    assert verbs("", "secrets") == {"get", "create", "patch", "delete"}
    assert verbs("", "pods") == {"get", "list", "watch", "delete"}
    assert verbs("", "persistentvolumeclaims") == {"get", "list", "patch", "delete"}
    assert verbs("", "events") == {"create"}
    assert verbs("hermesmesh.io", "hermesmeshes") == {"get", "list", "watch", "patch"}
    for rule in rules():
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
        assert not {"pods/exec", "nodes", "roles", "clusterroles"} & set(rule["resources"])


def _leaves(value: Any, schema: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or schema.get("additionalProperties") is not False:
        return [(path, value)]
    found = []
    for name, child in value.items():
        assert name in schema["properties"], f"{path}.{name}"
        found += _leaves(child, schema["properties"][name], f"{path}.{name}")
    return found
