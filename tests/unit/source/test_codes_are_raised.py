"""No code, reason, verdict, state, label or message of the wire that the product knows, and nothing in it ever gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor

from hermes_core.errors import ConfigError, ErrorCode, KeystoreError
from hermes_node.errors import NodeError
from hermes_proto.v2 import admin_pb2, app_router_pb2, chat_pb2, errors_pb2, node_mesh_pb2
from tests.unit.source.product import PRODUCT, ROOT, name_of, subclasses, walk

REFERENCE = ROOT / "docs" / "reference"
PROTOS = (admin_pb2, app_router_pb2, chat_pb2, errors_pb2, node_mesh_pb2)

BY_VALUE = {
    "HopState": "computed from its two halves; test_hop_states.py reaches every one",
    "SessionSuite": "chosen by its number; test_connect.py and the vectors use it",
    "FrameKind": "what comes is looked up by its number; test_bounds.py sends one of each",
    "SettingKey": "what comes is compared with its number",
    "MemberStateLabel": "made from a MemberState's name; test_tables.py holds both together",
    "CarryRefusalLabel": "made from a CarryRefusal's name; test_node_metrics.py holds both together",
    "EntryRole": "each has its figure; every one is shown from the start",
    "MeshBudget": "each has its figure; every one is shown from the start",
    "FrontConnection": "each has its figure; test_node_metrics.py reads both",
    "LinkDirection": "each has its figure; test_node_metrics.py reads both",
    "LieLabel": "made from a Lie's name; test_node_metrics.py holds both together",
}
"""Enums whose members the source never names."""


def members_of_enums() -> dict[str, set[str]]:
    enums: dict[str, set[str]] = {}
    for node in walk(*PRODUCT):
        if isinstance(node, ast.ClassDef) and any(name_of(base).endswith(("Enum", "Flag")) for base in node.bases):
            values = (statement.targets[0] for statement in node.body if isinstance(statement, ast.Assign))
            enums.setdefault(node.name, set()).update(name_of(value) for value in values)
    return enums


def given(node: ast.AST) -> Iterator[tuple[str, str]]:
    """`Enum.MEMBER` wherever it is a value, which is neither compared, nor matched, nor the key of a table."""
    if isinstance(node, ast.Attribute):
        yield name_of(node.value), node.attr
    if isinstance(node, ast.Compare | ast.pattern):
        return
    for child in node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node):
        yield from given(child)


def test_every_member_of_every_enum_is_given_by_something() -> None:
    enums = members_of_enums()
    found = {pair for node in walk(*PRODUCT) if isinstance(node, ast.Module) for pair in given(node)}
    dead = {enum: missing for enum, names in enums.items() if (missing := {n for n in names if (enum, n) not in found})}
    assert {"ErrorCode", "ErrorScope", "CloseReason", "ResumeVerdict", "MemberState"} <= set(enums)
    assert set(dead) == set(BY_VALUE), dead


def test_every_exit_code_is_raised_and_documented() -> None:
    kinds = {"ConfigError", "NodeError", "KeystoreError"} | subclasses("NodeError") | subclasses("KeystoreError")
    calls = {name_of(node.func) for node in walk(*PRODUCT) if isinstance(node, ast.Call)}
    assert kinds <= calls, kinds - calls
    classes: list[type[ConfigError | NodeError | KeystoreError]]
    classes = [ConfigError, NodeError, KeystoreError, *NodeError.__subclasses__(), *KeystoreError.__subclasses__()]
    assert {kind.__name__ for kind in classes} == kinds
    listed = re.findall(r"^\| (\d+) \| `", (REFERENCE / "errors.md").read_text(), re.MULTILINE)
    assert {kind.exit_code for kind in classes} == {int(code) for code in listed}


def test_every_error_code_and_close_reason_is_documented() -> None:
    errors, protocol = ((REFERENCE / page).read_text() for page in ("errors.md", "protocol.md"))
    assert [code.name for code in ErrorCode if f"\n| `{code.name}` |" not in errors] == []
    reasons = [name.removeprefix("CLOSE_") for name, number in chat_pb2.CloseReason.items() if number]
    assert [reason for reason in reasons if f"`{reason}`" not in protocol] == []


def messages() -> Iterator[Descriptor]:
    waiting = [message for proto in PROTOS for message in proto.DESCRIPTOR.message_types_by_name.values()]
    while waiting:
        yield (message := waiting.pop())
        waiting += message.nested_types


def test_every_field_of_the_wire_is_read_or_written() -> None:
    named = {node.arg for node in walk(*PRODUCT) if isinstance(node, ast.keyword)}
    named |= {node.attr for node in walk(*PRODUCT) if isinstance(node, ast.Attribute)}
    named |= {node.value for node in walk(*PRODUCT) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    fields = {f"{message.full_name}.{field.name}" for message in messages() for field in message.fields}
    assert {field for field in fields if field.rpartition(".")[2] not in named} == set()


def test_a_number_that_was_struck_stays_reserved() -> None:
    """Another use of it would be misread by an older peer."""
    numbers = sorted(number for _, number in errors_pb2.ErrorCode.items())
    text = (ROOT / "proto" / "hermes_proto" / "v2" / "errors.proto").read_text()
    body = text[text.index("enum ErrorCode") :]
    reserved = [int(number) for number in re.findall(r"^ *reserved (\d+);", body[: body.index("}")], re.MULTILINE)]
    assert sorted(numbers + reserved) == list(range(numbers[-1] + 1))
