"""Each bound of a mesh, at it and one past it: definition, operator's spec, rendered TOML, environment, node, core."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from hermes_core import limits
from hermes_core.bounds import Limited, LimitError, rules_of, tunables_of
from hermes_core.crypto import kdf_argon2
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.endpoint import params as endpoint_params
from hermes_core.errors import ConfigError
from hermes_core.mesh import params as mesh_params
from hermes_core.mesh.params import MeshParams
from hermes_core.ratchet import params as ratchet_params
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay import params as relay_params
from hermes_core.relay.params import ChatParams
from hermes_node.config import sections
from hermes_node.config.core_params import build_argon2_params, build_chat_params, build_mesh_params
from hermes_node.config.sections import SECTIONS, Config
from hermes_node.config.sources import load_config
from hermes_operator import crd_spec as operator_spec
from hermes_operator.crd_spec import parse_mesh
from hermes_operator.durations import parse_duration
from hermes_operator.manifests.config import render_node_config
from tests.unit.hermes_operator.operator_samples import mesh_body

Manifest = dict[str, Any]

CRD = Path(__file__).parents[3] / "crds" / "hermesmeshes.hermesmesh.io.yaml"
SCHEMA = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
DURATION = re.compile(r"duration\(self\) >= duration\('(\w+)'\) && duration\(self\) <= duration\('(\w+)'\)")
RULE = re.compile(r"self\.(\w+) (<=|>=) (?:(\d+) \* )?self\.(\w+)$")
POD = {
    "HERMES_NODE_ID": "m-0",
    "HERMES_MESH_ADVERTISE": "m-0.m-nodes.chat.svc:7443",
    **{f"HERMES_{section}_TLS_{file}": "/file" for section in ("APP", "MESH") for file in ("CERT", "KEY")},
}
# Fields that must be far apart for one of them to be at its bound.
ROOM: dict[tuple[str, ...], Manifest] = {("crypto", "window"): {"maxSkip": 4096}, ("crypto", "maxSkip"): {"window": 1}}
# What the operator keeps to itself, and what it bounds closer than the node does.
OPERATORS_OWN = {("replicas",), ("rollout", "maxWaitSeconds"), ("cleanup", "churnGrace")}
NARROWER = {("keystore", "rotationInterval", "low")}


def bounded(schema: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, least and greatest value of every number and duration that can be set."""
    for name, field in schema.get("properties", {}).items():
        if "minimum" in field:
            yield (*path, name), field["minimum"], field["maximum"]
        for rule in field.get("x-kubernetes-validations", ()):
            if found := DURATION.match(rule["rule"]):
                yield (*path, name), found[1], found[2]
        if "properties" in field:
            yield from bounded(field, (*path, name))


FIELDS = list(bounded(SCHEMA))
ENDS = [(path, low, high, end) for path, low, high in FIELDS for end in ("low", "high")]
IDS = [f"{'.'.join(path)}-{end}" for path, _, _, end in ENDS]


def manifest(path: tuple[str, ...], value: Any) -> Manifest:
    spec: Manifest = {}
    part = spec
    for name in path[:-1]:
        part = part.setdefault(name, {})
    part |= ROOM.get(path, {})
    part[path[-1]] = value
    return spec


def one_past(end: str, value: Any) -> Any:
    step = 1 if end == "high" else -1
    if isinstance(value, int):
        return value + step
    milliseconds = round(parse_duration(value) * 1000) + step
    return f"{milliseconds}ms" if milliseconds >= 0 else "-1ms"


def seconds(value: Any) -> float:
    """What the node is told: a number as it is, a duration in seconds."""
    if isinstance(value, int):
        return value
    return -0.001 if value == "-1ms" else parse_duration(value)


def render(spec: Manifest) -> str:
    return render_node_config(parse_mesh(mesh_body(spec)))


@cache
def find_setting(path: tuple[str, ...], low: Any, high: Any) -> tuple[str, str] | None:
    """Section and name of what the field changes in the node's TOML."""
    one, other = (tomllib.loads(render(manifest(path, value))) for value in (low, high))
    found = [
        (section, name)
        for section, values in other.items()
        for name in values.keys() | one[section].keys()
        if values.get(name) != one[section].get(name)  # what is the default of some fields is left out
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def load(folder: Path, text: str, **environment: str) -> Config:
    (folder / "hermes.toml").write_text(text)
    return load_config(folder / "hermes.toml", POD | environment)


def change(text: str, section: str, name: str, value: float) -> str:
    changed, count = re.subn(rf"(\[{section}\]\n(?:.+\n)*?{name} = ).*", rf"\g<1>{value}", text)
    return changed if count else text.replace(f"[{section}]\n", f"[{section}]\n{name} = {value}\n")


def core_params(config: Config) -> list[Any]:
    chats = build_chat_params(config)
    return [chats, chats.channel, build_mesh_params(config), build_argon2_params(config.keystore)]


def in_core(name: str) -> tuple[type[Any], str] | None:
    """The core's class that has this setting, and what it is called there."""
    for kind in (ChatParams, ChannelParams, MeshParams, Argon2Params):
        field = {"max_peers": "max_members"}.get(name, name).removeprefix("argon2_")
        if field in tunables_of(kind) and (kind is Argon2Params) == name.startswith("argon2_"):
            return kind, field
    return None


def test_the_walk_finds_every_field() -> None:
    assert len(FIELDS) == 21
    settings = {path: find_setting(path, low, high) for path, low, high in FIELDS}
    assert {path for path, setting in settings.items() if setting is None} == OPERATORS_OWN
    assert sum(setting is not None and in_core(setting[1]) is not None for setting in settings.values()) == 12


@pytest.mark.parametrize(("path", "low", "high", "end"), ENDS, ids=IDS)
def test_a_bound_of_the_definition_is_that_of_every_layer(
    path: tuple[str, ...], low: Any, high: Any, end: str, tmp_path: Path
) -> None:
    value = low if end == "low" else high
    text, past = render(manifest(path, value)), one_past(end, value)
    with pytest.raises(LimitError) as refused:
        parse_mesh(mesh_body(manifest(path, past)))
    assert refused.value.field == ".".join(("spec", *path))
    setting = find_setting(path, low, high)
    if setting is None:
        return
    section, name = setting
    config = load(tmp_path, text)
    assert getattr(getattr(config, section), name) == seconds(value)
    if (*path, end) not in NARROWER:
        refuse_in_node_and_core(tmp_path, text, section, name, seconds(past))


def refuse_in_node_and_core(folder: Path, text: str, section: str, name: str, past: float) -> None:
    with pytest.raises(ConfigError) as refused:
        load(folder, change(text, section, name, past))
    assert refused.value.field == f"{section}.{name}"
    variable = f"HERMES_{section}_{name}".upper()
    with pytest.raises(ConfigError, match=variable) as refused:
        load(folder, text, **{variable: str(past)})
    assert refused.value.field == f"{section}.{name}"
    with pytest.raises(LimitError, match=f"^{name}: "):
        SECTIONS[section](**{name: past})
    if core := in_core(name):
        kind, field = core
        with pytest.raises(LimitError, match=f"^{field}: "):
            kind(**{field: past})


NODE = [
    (section, name, end)
    for section, kind in SECTIONS.items()
    for name, tunable in tunables_of(kind).items()
    if not tunable.choices
    for end in ("low", "high")
]


@pytest.mark.parametrize(("section", "name", "end"), NODE, ids=[f"{section}.{name}-{end}" for section, name, end in NODE])
def test_a_bound_of_the_node_is_that_of_the_core(section: str, name: str, end: str, tmp_path: Path) -> None:
    tunable = tunables_of(SECTIONS[section])[name]
    value: float = getattr(tunable, end)
    room = {"window": {"HERMES_CRYPTO_MAX_SKIP": "4096"}, "max_skip": {"HERMES_CRYPTO_WINDOW": "1"}}.get(name, {})
    if section == "mesh":
        room = {"heartbeat_interval_s": {"HERMES_MESH_DEAD_AFTER_S": "600"}}.get(
            name, {"HERMES_MESH_HEARTBEAT_INTERVAL_S": "0.05"}
        )
    config = load(tmp_path, render({}), **room | {f"HERMES_{section}_{name}".upper(): str(value)})
    assert getattr(getattr(config, section), name) == value
    if core := in_core(name) if (section, name) != ("app", "heartbeat_interval_s") else None:
        kind, field = core
        (params,) = [params for params in core_params(config) if isinstance(params, kind)]
        assert getattr(params, field) == value
    step = 1 if tunable.type is int else value * 1e-6 or 1e-6
    past = value + (step if end == "high" else -step)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, render({}), **room | {f"HERMES_{section}_{name}".upper(): str(past)})
    assert refused.value.field == f"{section}.{name}"
    if core:
        with pytest.raises(LimitError, match=f"^{core[1]}: "):
            core[0](**{core[1]: past})


def rules_in_definition(schema: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if found := RULE.search(rule["rule"]):
            name, sign, _, other = found.groups()
            yield ".".join(path), name, sign, other
            assert rule["fieldPath"] == f".{name}"
            assert rule["rule"].startswith(f"!has(self.{name}) || !has(self.{other}) || ")
    for name, field in schema.get("properties", {}).items():
        yield from rules_in_definition(field, (*path, name))


def test_rules_between_fields_are_those_of_every_layer(tmp_path: Path) -> None:
    assert list(rules_in_definition(SCHEMA)) == [("crypto", "window", "<=", "maxSkip")]
    for kind in vars(operator_spec).values():
        if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__") and kind.__module__ == operator_spec.__name__:
            assert bool(rules_of(kind)) == (kind is operator_spec.CryptoSpec)
    load(tmp_path, render({"crypto": {"window": 64, "maxSkip": 64}}))
    with pytest.raises(LimitError, match=r"spec\.crypto\.window: must not exceed spec\.crypto\.maxSkip"):
        parse_mesh(mesh_body({"crypto": {"window": 65, "maxSkip": 64}}))
    text = change(render({"crypto": {"window": 64, "maxSkip": 64}}), "crypto", "window", 65)
    for refused, environment in ((text, {}), (render({}), {"HERMES_CRYPTO_WINDOW": "65", "HERMES_CRYPTO_MAX_SKIP": "64"})):
        with pytest.raises(ConfigError, match=r"crypto\.window: must not exceed crypto\.max_skip"):
            load(tmp_path, refused, **environment)
    with pytest.raises(LimitError, match="window: must not exceed max_skip"):
        ChannelParams(window=65, max_skip=64)


def test_the_interval_of_the_pod_monitor() -> None:
    field = SCHEMA["properties"]["monitoring"]["properties"]["podMonitor"]["properties"]["interval"]
    assert field["x-kubernetes-validations"][0]["rule"] == "duration(self) >= duration('1s')"
    assert parse_mesh(mesh_body({"monitoring": {"podMonitor": {"interval": "1s"}}})).pod_monitor.interval == "1s"
    for interval in ("999ms", "soon"):
        with pytest.raises(LimitError, match=r"spec\.monitoring\.podMonitor\.interval: "):
            parse_mesh(mesh_body({"monitoring": {"podMonitor": {"interval": interval}}}))


MODULES = [relay_params, endpoint_params, ratchet_params, mesh_params, kdf_argon2, sections, operator_spec]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_class_reads_its_defaults_and_writes_none(module: ModuleType) -> None:
    classes = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ClassDef)]
    seen = 0
    for kind in classes:
        tunables = tunables_of(getattr(module, kind.name))
        for item in kind.body:
            if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) in tunables:
                assert item.value is not None
                assert ast.unparse(item.value) == f"default({ast.unparse(item.annotation)})"
                seen += 1
    assert seen == sum(len(tunables_of(getattr(module, kind.name))) for kind in classes) > 2


def test_every_tunable_is_somebodys_field() -> None:
    declared = {name: kind for name, kind in vars(limits).items() if hasattr(kind, "__metadata__")}
    classes = [
        kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Limited)
    ]
    used = [tunable.kind for kind in classes for tunable in tunables_of(kind).values()]
    assert [name for name, kind in declared.items() if kind not in used] == []


BY_HAND = {"maxSkew"}


def test_no_number_and_no_default_is_written_into_the_definition_by_hand() -> None:
    """Apart from empty defaults, the only value of an enum, and what is the API's of Kubernetes."""
    marked_at, name = 10**6, ""
    for line in CRD.read_text().split("            status:")[0].splitlines():
        margin, content = len(line) - len(line.lstrip()), line.strip()
        if margin <= marked_at:
            marked_at = margin if re.search(r":( .*)? # from \w", line) else 10**6
        name = content.removesuffix(":") if content.endswith(":") else name
        if marked_at == 10**6 and re.match(r"(minimum|maximum|default): ", content):
            assert content in ("default: {}", 'default: ""', "default: Halt") or name in BY_HAND, line
