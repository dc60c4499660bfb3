"""No dataclass shows a private key, a token or a passphrase: whoever logs one, or reads a traceback, would have it."""

from __future__ import annotations

import ast
import re

from tests.unit.source.product import PRODUCT, name_of, walk

SECRET = re.compile(r"(^|_)(key_pem|private_key|token|passphrase|password)$")
TEXT = re.compile(r"\b(str|bytes|bytearray|memoryview)\b")
"""What shows what it holds; `SecretBytes` does not."""


def shown(*nodes: ast.AST) -> list[str]:
    """Fields of dataclasses that hold a secret, by their names, and are part of the `repr`."""
    found = []
    for node in nodes:
        if not isinstance(node, ast.ClassDef) or any(getattr(part, "name", "") == "__repr__" for part in node.body):
            continue
        if any(name_of(getattr(decorator, "func", decorator)) == "dataclass" for decorator in node.decorator_list):
            fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            secret = [
                part for part in fields if SECRET.search(name_of(part.target)) and TEXT.search(ast.unparse(part.annotation))
            ]
            found += [f"{node.name}.{name_of(part.target)}" for part in secret if "repr=False" not in ast.unparse(part)]
    return found


def test_dataclasses_hide_their_secrets() -> None:
    assert shown(*walk(*PRODUCT)) == []


def test_one_is_found() -> None:
    fields = "key_pem: bytes\n token: str = ''\n admin_token: bytes | None = field(default=None, repr=False)\n path: str"
    assert shown(*ast.walk(ast.parse(f"@dataclass(frozen=True)\nclass A:\n {fields}"))) == ["A.key_pem", "A.token"]
