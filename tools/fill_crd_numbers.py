"""crds/: numbers, defaults and rules between fields of the HermesMesh definition, from `hermes_operator.crd_spec`.

The file is written by hand but for what a mark names: below `window: # from CryptoSpec.window` the whole schema of that field,
before `# from KeystoreSpec.size` the value of that line, and below `x-kubernetes-validations: # from CryptoSpec` the rules
between fields of that class.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import Field
from textwrap import indent
from typing import Any

import msgspec
import yaml

from hermes_core.bounds import Relation, Tunable, rules_of, tunables_of
from hermes_operator import crd_spec
from hermes_operator.durations import format_duration
from tools.generated_files import ROOT, Files, run

CRD = "crds/hermesmeshes.hermesmesh.io.yaml"
MAX_DURATION_CHARS = 32
_MAX_INT32 = 2**31 - 1
_MARK = re.compile(r"^(?P<indent> *)(?P<key>[\w-]+):(?P<value> .*?)? # from (?P<kind>\w+)(?:\.(?P<field>\w+))?$")

Schema = dict[str, Any]


class _DefinitionDumper(yaml.SafeDumper):
    """Lists stand further in than their key, as in the rest of the file."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def render() -> Files:
    return {CRD: fill((ROOT / CRD).read_text())}


def fill(text: str) -> str:
    """The definition with everything made anew that a mark names."""
    return "\n".join(_fill_lines(iter(text.split("\n"))))


def _fill_lines(lines: Iterator[str]) -> Iterator[str]:
    line = next(lines, None)
    while line is not None:
        mark = _MARK.match(line)
        if mark is None or mark["value"]:
            yield line if mark is None else _fill_value(mark)
            line = next(lines, None)
            continue
        built = _build(mark["kind"], mark["field"])
        shown = built[mark["key"]] if mark["field"] and mark["key"] in built else built
        yield line
        yield indent(_dump(shown), mark["indent"] + "  ").rstrip()
        line = next((below for below in lines if not _is_below(below, mark["indent"])), None)


def _is_below(line: str, margin: str) -> bool:
    return line.startswith(margin + " ") or not line


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_DefinitionDumper, sort_keys=False, width=4096, allow_unicode=True)


def _fill_value(mark: re.Match[str]) -> str:
    value = _build(mark["kind"], mark["field"])[mark["key"]]
    shown = _dump({mark["key"]: value}).rstrip()
    return f"{mark['indent']}{shown} # from {mark['kind']}.{mark['field']}"


def _build(kind_name: str, field: str | None) -> Any:
    kind = vars(crd_spec)[kind_name]
    if field is None:
        return [_build_rule(kind, *rule) for rule in rules_of(kind)]
    tunable = tunables_of(kind).get(field)
    if tunable is None:
        return _build_text(kind.__dataclass_fields__[field])
    return _build_duration(tunable) if tunable.type is float else _build_plain(tunable)


def _build_text(item: Field[Any]) -> Schema:
    """What the code says of a field that is no limit."""
    if "at_least_s" not in item.metadata:
        return {"default": item.default}
    least = format_duration(item.metadata["at_least_s"])
    message = f"must be a duration of at least {least}, for example {item.default}"
    rules = [{"rule": f"duration(self) >= duration('{least}')", "message": message}]
    return {"default": item.default, "x-kubernetes-validations": rules}


def _build_plain(tunable: Tunable) -> Schema:
    known = msgspec.json.schema(tunable.kind)
    schema: Schema = {"description": known.pop("description"), "type": known.pop("type", "string")}
    if tunable.type is int:
        schema["format"] = "int32" if known["maximum"] <= _MAX_INT32 else "int64"
    if tunable.many:
        known["items"] = {"type": "string"} | known["items"]
    return schema | known | {"default": list(tunable.default) if tunable.many else tunable.default}


def _build_duration(tunable: Tunable) -> Schema:
    low, high, usual = (format_duration(float(s or 0)) for s in (tunable.low, tunable.high, tunable.default))
    rule = {
        "rule": f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')",
        "message": f"must be a duration from {low} to {high}, for example {usual}",
    }
    return {
        "description": tunable.text,
        "type": "string",
        "maxLength": MAX_DURATION_CHARS,
        "default": usual,
        "x-kubernetes-validations": [rule],
    }


def _build_rule(kind: type, field: str, rule: Relation, other: str) -> Schema:
    """CEL reads whole numbers; a rule between durations would need more."""
    if {tunables_of(kind)[name].type for name in (field, other)} != {int}:
        raise TypeError(f"{kind.__name__}: no rule between {field} and {other} can be written")
    name, bound = crd_spec.manifest_name(kind, field), crd_spec.manifest_name(kind, other)
    factor = "" if rule.factor == 1 else f"{rule.factor} * "
    return {
        "rule": f"!has(self.{name}) || !has(self.{bound}) || self.{name} {rule.sign} {factor}self.{bound}",
        "message": f"{name}: {rule.words} {bound}; {rule.why}",
        "fieldPath": f".{name}",
    }


if __name__ == "__main__":
    sys.exit(run(render))
