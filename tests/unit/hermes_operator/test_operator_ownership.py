"""State has one owner: no code of the operator assigns an attribute of an object that is not its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import hermes_operator

FILES = sorted(Path(hermes_operator.__path__[0]).rglob("*.py"))
# kopf is configured by assignment.
ALLOWED = {("process/watches.py", "settings")}


def foreign_writes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The name an assignment to an attribute starts with, unless that is `self`, and the line."""
    for node in ast.walk(tree):
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and (name := _root(target)) != "self":
                yield name, target.lineno


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        found = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
        found = [node.target]
    elif isinstance(node, ast.Delete):
        found = node.targets
    else:
        return []
    return [inner for target in found for inner in (target.elts if isinstance(target, ast.Tuple) else [target])]


def _root(target: ast.expr) -> str:
    """`self` for `self.x` only: `self.x.y` is an attribute of another object."""
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.value.id
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
        target = target.func if isinstance(target, ast.Call) else target.value
    return f"{target.id}." if isinstance(target, ast.Name) else "?"


def test_no_attribute_is_written_from_outside_its_class() -> None:
    assert len(FILES) > 40
    root = Path(hermes_operator.__path__[0])
    found = [
        f"{path.relative_to(root)}:{line} writes to {name}"
        for path in FILES
        for name, line in foreign_writes(ast.parse(path.read_text()))
        if (str(path.relative_to(root)), name.rstrip(".")) not in ALLOWED
    ]
    assert found == []


def test_it_sees_what_it_should() -> None:
    seen = [name for name, _ in foreign_writes(ast.parse("self.a = 1\nself.b.c = 2\nx.y, self.z = 3\nx.y += 1\nx[0].q = 1"))]
    assert seen == ["self.", "x", "x", "x."]
