"""docs/reference/hermesmesh.md, made from the schema in crds/: every field of a HermesMesh with type, default and rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tools.generated_files import ROOT, Files, run

CRD = "crds/hermesmeshes.hermesmesh.io.yaml"
PAGE = "docs/reference/hermesmesh.md"

_HEAD = """# HermesMesh

Made by `python -m tools.generate_hermesmesh` from `{crd}`, which has its numbers from
`node/hermes_core/limits.py` and `operator/hermes_operator/crd_spec.py`.

`{api_version}`, kind `{kind}`, namespaced; `kubectl get {short}` is short for it. A smallest mesh is
[docs/examples/hermesmesh.yaml](../examples/hermesmesh.yaml). The API server refuses an invalid manifest with the field's path;
what only the operator can see becomes a condition with its cure.

`kubectl get {short}` shows: {columns}.

Annotation `hermesmesh.io/restartedAt` on a HermesMesh, with any new value, restarts its nodes one by one, each verified
(`hermesctl restart` sets it).
"""

_TABLE = "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n"
_NUMBERS = {"minimum": "at least {}", "maximum": "at most {}"}


def render() -> Files:
    return {PAGE: build_page(yaml.safe_load((ROOT / CRD).read_text()))}


def build_page(crd: Mapping[str, Any]) -> str:
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    head = _HEAD.format(
        crd=CRD,
        api_version=f"{crd['spec']['group']}/{version['name']}",
        kind=names["kind"],
        short=names["shortNames"][0],
        columns=", ".join(column["name"] for column in version["additionalPrinterColumns"]),
    )
    general = "".join(f"- {rule['message']}\n" for rule in schema["x-kubernetes-validations"])
    sections = "".join(
        f"\n## {name}\n{schema['properties'][name]['description']}\n{_TABLE}{''.join(_rows(schema['properties'][name], name))}"
        for name in ("spec", "status")
    )
    return f"{head}\n## Name\n{general}{sections}"


def _rows(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        default = "required" if name in required else _default(field)
        yield f"| `{where}` | {_type(field)} | {default} | {_meaning(field)} |\n"
        yield from _rows(field, where)
        yield from _rows(field.get("items", {}), f"{where}[]")


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field or field["default"] == {}:
        return ""
    return f"`{json.dumps(field['default'])}`"


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    kind = str(field.get("type", "any"))
    if kind == "array":
        return f"list of {_type(field['items'])}s"
    if kind == "object" and "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}"
    return str(field.get("format", kind)) if kind == "string" else kind


def _meaning(field: Mapping[str, Any]) -> str:
    bounds = [text.format(f"{field[key]:,}") for key, text in _NUMBERS.items() if key in field]
    rules = [rule["message"] for rule in field.get("x-kubernetes-validations", ())]
    said = (
        [str(field["description"]).rstrip(".")] + [_sentence(", ".join(bounds))] * bool(bounds) + [_sentence(r) for r in rules]
    )
    return ". ".join(said).replace("|", "\\|").replace("<", "&lt;") + "."


def _sentence(text: str) -> str:
    names_a_field = text.partition(" ")[0].endswith(":")
    return text if names_a_field else text[:1].upper() + text[1:]


if __name__ == "__main__":
    sys.exit(run(render))
