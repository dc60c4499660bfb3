"""The source of the product, read once: what other tests of this folder judge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRODUCT = ("node", "client", "operator")
GENERATORS = ("tools", "alerts", "dashboards")


@cache
def read_trees(*folders: str) -> dict[Path, ast.Module]:
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in paths}


def walk(*folders: str) -> Iterator[ast.AST]:
    """Every piece of syntax of these folders."""
    for tree in read_trees(*folders).values():
        yield from ast.walk(tree)


def name_of(expression: ast.AST) -> str:
    """The last part of a dotted name; empty for anything else."""
    return getattr(expression, "attr", "") or getattr(expression, "id", "")


def subclasses(base: str) -> set[str]:
    """Names of the classes of the product that have a base of this name, at any distance."""
    parents = {n.name: {name_of(b) for b in n.bases} for n in walk(*PRODUCT) if isinstance(n, ast.ClassDef)}
    found: set[str] = set()
    while more := {name for name, bases in parents.items() if bases & (found | {base})} - found:
        found |= more
    return found
