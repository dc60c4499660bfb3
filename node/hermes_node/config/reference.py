"""Write docs/reference/configuration.md from the config dataclasses: `python -m hermes_node.config.reference [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from hermes_node.config.sections import SECTIONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "configuration.md"

_HEAD = """# Node configuration

Made by `python -m hermes_node.config.reference`; edit the texts in `node/hermes_node/config/sections.py`.

`hermes-node --config FILE` reads TOML. The environment is stronger than the file: `[app] listen` is `HERMES_APP_LISTEN`;
a list is written with commas. `hermes-node --check-config` judges a configuration without starting. An unknown name is
refused, and the nearest known one is named. The passphrase itself may come as `HERMES_KEYSTORE_PASSPHRASE`; it is no setting
of the file.
"""
_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def build_page() -> str:
    """The whole page as text."""
    return _HEAD + "".join(_section(name) for name in SECTIONS)


def _section(name: str) -> str:
    section = SECTIONS[name]
    hints = get_type_hints(section)
    head = f"\n## [{name}]\n{section.__doc__}\n\n| setting | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(_row(item, hints[item.name]) for item in fields(section))


def _row(item: Field[Any], kind: Any) -> str:
    shown = _TYPES.get(kind, "list of texts")
    allowed = ""
    if item.metadata["choices"]:
        allowed = f" One of {', '.join(item.metadata['choices'])}."
    elif item.metadata["minimum"] is not None:
        allowed = f" From {item.metadata['minimum']:g} to {item.metadata['maximum']:,}."
    default = json.dumps(list(item.default) if isinstance(item.default, tuple) else item.default)
    text = item.metadata["text"].replace("|", "\\|")
    return f"| `{item.name}` | {shown} | `{default}` | {text}{allowed} |\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check say whether it is up to date (exit 1 when not)."""
    parser = argparse.ArgumentParser(prog="python -m hermes_node.config.reference")
    parser.add_argument("--check", action="store_true", help="only compare")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(build_page())
        return 0
    if PAGE.is_file() and PAGE.read_text() == build_page():
        return 0
    sys.stderr.write(f"{PAGE} is stale; run: python -m hermes_node.config.reference\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
