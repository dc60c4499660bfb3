"""hermesctl render: the operator's own objects, without a cluster."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from hermes_ctl.cli import main

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "hermesmesh.yaml"


def _render(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["render", *arguments]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def test_the_example_becomes_what_the_operator_makes(capsys: pytest.CaptureFixture[str]) -> None:
    manifests = _render(capsys, "-f", str(EXAMPLE), "-n", "chat")
    kinds = [str(manifest["kind"]) for manifest in manifests]
    assert {"StatefulSet", "Service", "ConfigMap"} <= set(kinds)
    assert "Secret" not in kinds
    for manifest in manifests:
        metadata = manifest["metadata"]
        assert isinstance(metadata, dict)
        assert metadata["namespace"] == "chat"
        assert "ownerReferences" not in metadata


def test_standard_input_and_lists(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    body = yaml.safe_load(EXAMPLE.read_text())
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump({"kind": "List", "items": [body]})))
    assert _render(capsys, "-f", "-") == _render(capsys, "-f", str(EXAMPLE))


def test_crds(capsys: pytest.CaptureFixture[str]) -> None:
    (crd,) = _render(capsys, "--crds")
    assert crd["kind"] == "CustomResourceDefinition"


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("kind: Service", "holds no HermesMesh"),
        ("{", "is not YAML"),
        ("kind: HermesMesh\nmetadata: {}", "is not valid"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {replicas: many}", "a: spec.replicas: must be an integer"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {replicas: true}", "spec.replicas: must be an integer"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {replicas: 0}", "spec.replicas: must be at least 1"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {replica: 3}", "spec.replica: unknown field"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {imagePullSecrets: [{}]}", "spec.imagePullSecrets[0].name: is required"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: {imagePullPolicy: Maybe}", "imagePullPolicy: must be one of Always"),
        ("kind: HermesMesh\nmetadata: {name: a}\nspec: [1]", "spec: must be an object"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, cure: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    assert main(["render", "-f", str(path)]) == 2
    error = capsys.readouterr().err
    assert cure in error
    assert error.count("\n") == 1


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", "/nonexistent"]) == 2
    assert capsys.readouterr().err == "hermesctl: cannot read /nonexistent: No such file or directory\n"
