"""docs/reference/configuration.md: every setting of a node with type, default, range and meaning, read from its sections."""

from __future__ import annotations

import json
import sys
from dataclasses import Field, fields
from typing import Any, get_args, get_origin, get_type_hints

from hermes_core.bounds import Tunable, rules_of, tunables_of
from hermes_node.config.sections import SECTIONS
from tools.generated_files import Files, run

PAGE = "docs/reference/configuration.md"

_HEAD = """# Node configuration

Made by `python -m tools.generate_configuration` from `node/hermes_core/limits.py` (numbers) and
`node/hermes_node/config/sections.py` (the rest).

`hermes-node --config FILE` reads TOML. The environment is stronger than the file: `[app] listen` is `HERMES_APP_LISTEN`;
a list is written with commas. `hermes-node --check-config` judges a configuration without starting and without looking at the
files it names. An unknown name is refused, and the nearest known one is named. The passphrase itself may come as
`HERMES_KEYSTORE_PASSPHRASE`; it is no setting of the file.

A node that refuses its configuration ends with exit code 78 and one line that names the setting, and has written nothing.
"""
_TYPES: dict[Any, str] = {int: "whole number", float: "number", bool: "true or false"}


def render() -> Files:
    return {PAGE: _HEAD + "".join(_section(name, kind) for name, kind in SECTIONS.items())}


def _section(name: str, section: type[Any]) -> str:
    hints = get_type_hints(section, include_extras=True)
    head = f"\n## [{name}]\n{section.__doc__}\n\n| setting | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(_row(section, item, hints[item.name]) for item in fields(section))


def _row(section: type[Any], item: Field[Any], hint: Any) -> str:
    plain, meta = get_args(hint)
    tunable = tunables_of(section).get(item.name)
    unit = f" ({tunable.unit})" if tunable is not None and tunable.unit else ""
    kind = "list of texts" if get_origin(plain) is tuple else _TYPES.get(plain, "text")
    default = json.dumps(list(item.default) if isinstance(item.default, tuple) else item.default)
    said = [meta.description] + ([_allowed(tunable)] if tunable is not None else []) + _rules(section, item.name)
    meaning = " ".join(said).replace("|", "\\|")
    return f"| `{item.name}` | {kind}{unit} | `{default}` | {meaning} |\n"


def _allowed(tunable: Tunable) -> str:
    if tunable.many:
        return f"A list of {', '.join(tunable.choices)}."
    if tunable.choices:
        return f"One of {', '.join(tunable.choices)}."
    return f"From {tunable.low:,} to {tunable.high:,}."


def _rules(section: type[Any], name: str) -> list[str]:
    return [f"It {rule.words} `{other}`: {rule.why}." for field, rule, other in rules_of(section) if field == name]


if __name__ == "__main__":
    sys.exit(run(render))
