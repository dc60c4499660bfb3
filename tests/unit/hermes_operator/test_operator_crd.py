"""The HermesMesh definition: described, defaulted as the operator assumes, and without a field that does nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hermes_core.bounds import LimitError
from hermes_operator import names
from hermes_operator.crd_spec import parse_mesh
from hermes_operator.nodes.members import render_members
from hermes_operator.rollout.state import RolloutStep
from tests.unit.hermes_operator.golden_manifests import SPECS, render
from tests.unit.hermes_operator.operator_samples import mesh_body

ROOT = Path(__file__).parents[3]
CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "hermesmeshes.hermesmesh.io.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
        yield from fields(field.get("items", {}), f"{path}.{name}[]")


def fill_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """What the API server does with `default`."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = copy.deepcopy(field["default"])
            if name in value:
                fill_defaults(value[name], field)
    if isinstance(value, list):
        for item in value:
            fill_defaults(item, schema.get("items", {}))
    return value


def test_names() -> None:
    assert CRD["spec"]["group"] == names.GROUP
    assert VERSION["name"] == names.VERSION
    assert CRD["spec"]["names"]["kind"] == names.KIND
    assert CRD["spec"]["names"]["plural"] == names.PLURAL
    assert CRD["spec"]["names"]["shortNames"] == ["hm"]
    assert set(VERSION["subresources"]) == {"status", "scale"}


def test_every_field_is_described_and_typed() -> None:
    for path, field in fields(SCHEMA):
        if path != ".metadata":
            assert field.get("description"), path
        assert field.get("type") or field.get("x-kubernetes-int-or-string"), path


def test_printer_columns_show_fields_that_exist() -> None:
    columns = {column["name"]: column["jsonPath"] for column in VERSION["additionalPrinterColumns"]}
    assert list(columns) == ["Ready", "Replicas", "Epochs resumed", "Phase", "Version", "Age"]
    known = {path for path, _ in fields(SCHEMA)}
    assert {path for path in columns.values() if path.startswith(".status") and "[" not in path} <= known


@pytest.mark.parametrize("name", SPECS)
def test_defaults_are_those_the_operator_assumes(name: str) -> None:
    filled = fill_defaults(copy.deepcopy(SPECS[name]), SPEC)
    jsonschema.validate(filled, _without_formats(SPEC))
    assert parse_mesh(mesh_body(filled)) == parse_mesh(mesh_body(SPECS[name]))
    assert render(filled) == render(SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_the_scenarios_of_the_golden_files_use_known_fields_only(name: str) -> None:
    _require_known(SPECS[name], SPEC, "spec")


def test_every_field_of_the_spec_does_something() -> None:
    """Each leaf is set in some golden spec, apart from those that only have one value or act elsewhere."""
    used = {path for spec in SPECS.values() for path in _paths(spec)}
    leaves = {path for path, field in fields(SPEC) if "properties" not in field and "properties" not in field.get("items", {})}
    without_effect = {".cleanup.churnGrace"}  # it says so
    only_value, alternatives = {".rollout.onFailure"}, {".tolerations[].value", ".tolerations[].tolerationSeconds"}
    assert leaves - used - only_value - alternatives - without_effect == {
        ".rollout.paused",
        ".rollout.chats",
    }  # tested with the rollout


def test_the_example_is_valid() -> None:
    example = yaml.safe_load((ROOT / "docs" / "examples" / "hermesmesh.yaml").read_text())
    _require_known(example["spec"], SPEC, "spec")
    mesh = parse_mesh(example | {"metadata": example["metadata"] | {"namespace": "x"}})
    assert (mesh.name, mesh.replicas, mesh.pod.image) == ("demo", 3, "hermes:dev")


def test_status_that_is_written_is_in_the_schema() -> None:
    status = SCHEMA["properties"]["status"]
    assert set(status["properties"]["rollout"]["properties"]["step"]["enum"]) == {step.value for step in RolloutStep}
    from hermes_operator.nodes.members import MemberRecord

    entry = render_members([MemberRecord("demo-0", "u", 1, "f", "v", 1, 1, 1, 1, 1, "RESUMED", "d", "m")])[0]
    assert set(entry) == set(status["properties"]["members"]["items"]["properties"])


def test_immutable_and_growing_fields_have_their_rules() -> None:
    rules = " ".join(rule["rule"] for rule in SPEC["properties"]["keystore"]["x-kubernetes-validations"])
    for field in ("size", "storageClassName", "passphraseSecretRef", "argon2"):
        assert f"oldSelf.{field}" in rules


def test_rules_hold_for_a_default_that_has_none_of_its_fields() -> None:
    """The API server judges a `default` by the rules of its object before it fills in the fields' own defaults."""
    judged = 0
    for path, field in fields(SPEC):
        for rule in field.get("x-kubernetes-validations", ()) if isinstance(field.get("default"), dict) else ():
            if "oldSelf" in rule["rule"]:  # of changes alone
                continue
            asked = set(re.findall(r"(?<!has\()\bself\.(\w+)", rule["rule"])) - set(field["default"])
            first = rule["rule"].partition("||")[0]
            assert not asked or re.match(r"!has\(self\.\w+\) *$", first), (path, rule["rule"])
            judged += 1
    assert judged


def test_texts_are_bounded_where_rules_read_them() -> None:
    """The API server refuses rules over unbounded texts: it cannot estimate their cost."""
    for path, field in fields(SPEC):
        if field.get("type") == "string" and "enum" not in field:
            assert "maxLength" in field, path


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("", True),
        ("$(POD_NAME).chat.example.com:443", True),
        ("chat-$(POD_NAME):8443", True),
        ("chat.example.com:443", False),  # one name for all nodes leads to any of them
        ("$(POD_NAME).chat.example.com", False),
        ("https://$(POD_NAME):443", False),
    ],
)
def test_the_address_of_a_node_names_it_and_a_port(address: str, good: bool) -> None:
    field = SPEC["properties"]["service"]["properties"]["nodeAddress"]
    assert jsonschema.Draft202012Validator(field).is_valid(address) is good


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ({"trustedProxies": ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"]}, ""),
        ({"transport": "hermes", "trustedProxies": ["10.0.0.1/8"]}, "is no network"),
        ({"transport": "grpc", "trustedProxies": ["10.0.0.0/8"]}, "needs transport hermes"),
    ],
)
def test_trusted_proxies_are_networks_and_want_the_transport_that_asks_them(app: dict[str, Any], problem: str) -> None:
    body = mesh_body({"app": app})
    if not problem:
        assert list(parse_mesh(body).app.trusted_proxies) == app["trustedProxies"]
        return
    with pytest.raises(LimitError, match=rf"^spec\.app\.trustedProxies: .*{problem}"):
        parse_mesh(body)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"resources": {"limits": {"memory": "64Mi"}}, "app": {}}, ""),
        ({"app": {"fronts": 0}, "resources": {"limits": {"memory": "64Mi"}}}, ""),
        ({"app": {"fronts": 2}, "resources": {"limits": {"memory": "512Mi"}}}, ""),
        ({"app": {"fronts": 8}, "resources": {"limits": {"cpu": "4"}}}, ""),
        ({"app": {"fronts": 8}}, ""),
        ({"app": {"fronts": 9}}, "9 is not between -1 and 8"),
        ({"app": {"fronts": 1, "transport": "grpc"}}, "needs transport hermes"),
        ({"app": {"fronts": 0, "transport": "grpc"}}, ""),
        (
            {"app": {"fronts": 3}, "resources": {"limits": {"memory": "500Mi"}}},
            r"3 fronts of 192 MiB and 128 MiB for the node are 704 MiB, more than spec\.resources\.limits\.memory \(500Mi\)",
        ),
        ({"app": {"fronts": 2}, "resources": {"limits": {"memory": "536870911"}}}, "in which 1 would fit"),
        ({"app": {"fronts": 2}, "resources": {"limits": {"memory": "256M"}}}, "in which not even one would fit"),
    ],
)
def test_fronts_fit_into_the_memory_that_a_pod_may_use(spec: dict[str, Any], problem: str) -> None:
    body = mesh_body(spec)
    if not problem:
        assert parse_mesh(body).app.fronts == spec["app"].get("fronts", -1)
        return
    with pytest.raises(LimitError, match=rf"^spec\.app\.fronts: .*{problem}"):
        parse_mesh(body)


def _without_formats(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "default"}


def _require_known(value: Any, schema: dict[str, Any], path: str) -> None:
    if isinstance(value, dict) and "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        for name, child in value.items():
            assert name in schema["properties"], f"{path}.{name}"
            _require_known(child, schema["properties"][name], f"{path}.{name}")
    if isinstance(value, list):
        for item in value:
            _require_known(item, schema.get("items", {}), f"{path}[]")


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield f"{path}.{name}"
            yield from _paths(child, f"{path}.{name}")
    if isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")
