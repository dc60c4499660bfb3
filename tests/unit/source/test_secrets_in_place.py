"""Nothing is assigned to a slice of a secret's buffer: whatever is no bytearray would be copied on the way, and never wiped."""

from __future__ import annotations

import ast

from tests.unit.source.product import PRODUCT, walk


def slices_of_buffers(*nodes: ast.AST) -> list[str]:
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    return [
        ast.unparse(target)
        for target in targets
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute) and target.value.attr == "buffer"
    ]


def test_secrets_are_filled_by_take_copy_and_copy_of() -> None:
    assert sorted(slices_of_buffers(*walk(*PRODUCT))) == ["secret.buffer[:]", "twin.buffer[:]"]  # of a bytearray each


def test_one_is_found() -> None:
    assert slices_of_buffers(*ast.walk(ast.parse("key.buffer[:] = view"))) == ["key.buffer[:]"]
