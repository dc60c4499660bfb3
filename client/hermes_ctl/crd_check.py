"""Check an object against the CRD's structural schema, so that `render` names the wrong field as the API server would.

CEL rules and quantities are left to the API server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import yaml

from hermes_ctl.assets import find_asset

Json = dict[str, Any]

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


@cache
def load_schema() -> Json:
    """The schema of HermesMesh v1alpha1."""
    (path,) = find_asset("crds").glob("hermesmeshes.*.yaml")
    crd = yaml.safe_load(path.read_text())
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def find_problems(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every violation as "field.path: what is wrong"."""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            yield f"{path}: must be a whole number or text"
        return
    kind = schema.get("type")
    if kind in _TYPES and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path or 'the object'}: must be {'an' if kind[0] in 'aio' else 'a'} {kind}"
    elif isinstance(value, dict):
        yield from _find_in_object(value, schema, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_problems(item, schema.get("items", {}), f"{path}[{index}]")
    else:
        yield from _find_in_scalar(value, schema, path)


def _find_in_object(value: Json, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_join(path, name)}: is required"
    properties = schema.get("properties")
    more = schema.get("additionalProperties")
    for name, item in value.items():
        if properties is not None and name in properties:
            yield from find_problems(item, properties[name], _join(path, name))
        elif isinstance(more, dict):
            yield from find_problems(item, more, _join(path, name))
        elif properties is not None and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{_join(path, name)}: unknown field"


def _find_in_scalar(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: must be one of {', '.join(map(str, schema['enum']))}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: must be at least {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{path}: must be at most {schema['maximum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: must match {schema['pattern']}"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield f"{path}: must have at most {schema['maxLength']} characters"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else str(name)
