"""Writing generated text files, or naming those that differ from what would be written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Files = Mapping[str, str]
"""Path below the repository's root → text."""


def write_files(files: Files) -> None:
    for name, text in files.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stale_files(files: Files) -> list[str]:
    return [name for name, text in files.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text]


def run(render: Callable[[], Files], arguments: list[str] | None = None) -> int:
    """The command line of one generator: write, or with --check only compare (exit 1 when something is stale)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments not in ([], ["--check"]):
        sys.stderr.write("the only argument is --check\n")
        return 2
    if not arguments:
        write_files(render())
        return 0
    stale = stale_files(render())
    for name in stale:
        sys.stderr.write(f"stale: {name}; run: make generate\n")
    return 1 if stale else 0
