"""Keep the example manifest shown in README.md equal to docs/examples/hermesmesh.yaml."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EXAMPLE = ROOT / "docs/examples/hermesmesh.yaml"
_BLOCK = re.compile(r"(<!-- example: \S+ -->\n```yaml\n).*?(```\n<!-- /example -->)", re.DOTALL)


def _rendered() -> str:
    manifest = EXAMPLE.read_text()
    return _BLOCK.sub(lambda m: m.group(1) + manifest + m.group(2), README.read_text())


def generate() -> None:
    """Write the manifest into README.md."""
    README.write_text(_rendered())


def check() -> list[str]:
    """["README.md"] when it shows another manifest than the example's."""
    return [] if README.read_text() == _rendered() else ["README.md"]
