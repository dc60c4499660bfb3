"""docs/reference/errors.md: wire codes with their scope, cause and cure, and the exit codes of a node."""

from __future__ import annotations

import re
import sys

from hermes_core.errors import DEFAULT_SCOPE, ConfigError, ErrorCode, ErrorScope, KeystoreError
from hermes_node.errors import NodeError
from tools.error_texts import CAUSE_AND_CURE
from tools.generated_files import ROOT, Files, run

PAGE = "docs/reference/errors.md"
PROTO = "proto/hermes_proto/v2/errors.proto"

_HEAD = """# Error codes

Made by `python -m tools.generate_errors` from `proto/hermes_proto/v2/errors.proto`, `node/hermes_core/errors.py` and
`tools/error_texts.py`.

The same input always gets the same code. An error says what it ends: only the *frame* that caused it, the *chat* it names, or
the whole *stream*. A code's usual scope is given here; a message may say otherwise in its `scope` field, and `retry_after_ms`
says when trying again makes sense. Details are for people: at most 256 characters, never a secret.

| code | number | ends | cause | cure |
| --- | --- | --- | --- | --- |
"""

_EXITS = """
## Exit codes of a node

A node that cannot start, or go on, says why in one line on standard error, with the cure, and ends with one of these. The
operator shows it as the condition `KeystoresSealed` or `Degraded`. A keystore that could not be opened was not changed.

| exit code | name | meaning | cure |
| --- | --- | --- | --- |
"""

_CONFIG = "A setting is wrong; the line names its field."
_OTHER = "read the line, and the log before it"
_SCOPES = {ErrorScope.FRAME: "frame", ErrorScope.CHAT: "chat", ErrorScope.STREAM: "stream"}


def proto_codes() -> dict[str, int]:
    """Names and numbers of `enum ErrorCode`, without the unspecified one."""
    body = re.search(r"^enum ErrorCode \{(.*?)^\}", (ROOT / PROTO).read_text(), re.DOTALL | re.MULTILINE)
    if body is None:
        raise ValueError(f"no enum ErrorCode in {PROTO}")
    found = re.findall(r"^\s*([A-Z_]+) = (\d+);", body.group(1), re.MULTILINE)
    return {name: int(number) for name, number in found if int(number)}


def render() -> Files:
    rows = [_row(ErrorCode[name], number) for name, number in proto_codes().items()]
    errors: list[type[KeystoreError | NodeError]] = [*KeystoreError.__subclasses__(), *NodeError.__subclasses__()]
    exits = {error.exit_code: _exit_row(error) for error in errors}
    exits[ConfigError.exit_code] = f"| {ConfigError.exit_code} | `CONFIG_INVALID` | {_CONFIG} | correct this setting |\n"
    exits[NodeError.exit_code] = f"| {NodeError.exit_code} | `NODE_ERROR` | Anything else. | {_OTHER} |\n"
    return {PAGE: _HEAD + "".join(rows) + _EXITS + "".join(exits[number] for number in sorted(exits))}


def _row(code: ErrorCode, number: int) -> str:
    if code != number:
        raise ValueError(f"{code.name} is {number} in {PROTO} and {code.value} in hermes_core.errors")
    cause, cure = CAUSE_AND_CURE[code]
    return f"| `{code.name}` | {number} | {_SCOPES[DEFAULT_SCOPE[code]]} | {cause} | {cure} |\n"


def _exit_row(error: type[KeystoreError | NodeError]) -> str:
    return f"| {error.exit_code} | `{error.code}` | {error.__doc__} | {error.cure} |\n"


if __name__ == "__main__":
    sys.exit(run(render))
