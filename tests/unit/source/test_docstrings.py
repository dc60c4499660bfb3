"""Docstrings and comments name what exists: `names` in backticks, and files by their paths."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.unit.source.product import GENERATORS, PRODUCT, ROOT, read_trees

FOLDERS = (*PRODUCT, *GENERATORS, "benchmarks")
TOP = sorted({*FOLDERS, "tests", "docs", "proto", "crds", "charts"})

ELSEWHERE = {"ServicerContext", "increase", "hermes", "v2", "NodeMesh"}
"""Of grpc and of Prometheus; the service `hermes.v2.NodeMesh` of the proto files."""


@cache
def known_names() -> frozenset[str]:
    """Everything that the source defines, uses or says in a short text, and the parts of every path."""
    found: set[str] = set(ELSEWHERE)
    for path, tree in read_trees(*FOLDERS, "tests").items():
        found.update(part.removesuffix(".py") for part in path.parts)
        for node in ast.walk(tree):
            found.update(getattr(node, field, None) or "" for field in ("name", "id", "arg", "attr", "asname"))
            if isinstance(node, ast.alias):
                found.update(node.name.split("."))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
                found.add(node.value)
    return frozenset(found)


def notes() -> Iterator[tuple[str, str]]:
    """Every docstring and comment, with its place."""
    for path, tree in read_trees(*FOLDERS).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                yield f"{path}:{node.lineno}", node.value.value
        for token in tokenize.generate_tokens(io.StringIO((ROOT / path).read_text()).readline):
            if token.type == tokenize.COMMENT:
                yield f"{path}:{token.start[0]}", token.string


def test_names_in_backticks_exist() -> None:
    dotted = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)*)(?:\(\))?`")
    named = {(place, name) for place, text in notes() for name in dotted.findall(text)}
    assert len(named) > 300
    unknown = {(place, name) for place, name in named if not set(name.removesuffix(".py").split(".")) <= known_names()}
    assert unknown == set()


def test_files_exist() -> None:
    path = re.compile(rf"(?<![\w/.-])((?:{'|'.join(TOP)})/[\w./-]*\w)|\b([a-z_]+\.py)\b")
    named = {(place, whole or name) for place, text in notes() for whole, name in path.findall(text)}
    files = {file.name for folder in TOP for file in (ROOT / folder).rglob("*.py")}
    assert {(place, name) for place, name in named if name not in files and not _exists(name)} == set()


def _exists(name: str) -> bool:
    """A path of the tree, or the beginning of one whose end is left open (`tests/vectors/*.json`)."""
    return (ROOT / name).exists() or any(Path(ROOT).glob(f"{name}*"))
