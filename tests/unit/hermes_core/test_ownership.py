"""State has one owner: in these rooms of the core, an object's attributes are written by its own methods alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[3] / "node" / "hermes_core"
ROOMS = ("ratchet", "relay", "endpoint", "mesh/swim")


def find_foreign_writes(source: str) -> Iterator[str]:
    """Assignments to an attribute of anything but `self`, as `line: target`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id == "self"):
                yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    "path", [path for room in ROOMS for path in sorted((CORE / room).glob("*.py"))], ids=lambda path: path.name
)
def test_nobody_writes_what_is_another_ones(path: Path) -> None:
    assert not list(find_foreign_writes(path.read_text()))


def test_foreign_writes_are_found() -> None:
    lines = ("self.a = 1", "chat.a = 1", "chat.b += 1", "self.chat.c: int = 1", "x, chat.d = 1, 2", "del chat.e", "chat.f()")
    found = [line.split(": ")[1] for line in find_foreign_writes("\n".join(lines))]
    assert sorted(found) == ["chat.a", "chat.b", "chat.d", "chat.e", "self.chat.c"]
