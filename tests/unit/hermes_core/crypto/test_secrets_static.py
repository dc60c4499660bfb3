"""mypy refuses to log, format, compare, hash or pickle key material: each line here gives the error it should, or none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PRELUDE = """\
import copy
import json
import logging
import pickle
from hermes_core.crypto.secret import SecretBytes
from hermes_core.handshake.key_schedule import EpochKeys
from hermes_node.logs.event_log import EventLog

log = logging.getLogger(__name__)

def use(
    secret: SecretBytes, other: SecretBytes, keys: EpochKeys, data: bytes, maybe: SecretBytes | None, events: EventLog
) -> None:
"""
REFUSED = {
    'f"{secret}"': "secret",
    'f"key {keys.mac:>10} is"': "secret",
    "str(secret)": "secret",
    "format(secret)": "secret",
    '"{}".format(secret)': "secret",
    '"{key}".format(key=keys.ratchet)': "secret",
    "print(secret)": "secret",
    "print(1, [secret])": "secret",
    "str(maybe)": "secret",
    'log.info("key %s", secret)': "secret",
    'log.debug("keys %s", (1, keys.mac))': "secret",
    'log.error("x", extra={"key": secret})': "secret",
    'log.log(10, "x %r", maybe)': "secret",
    'logging.warning("x %s", secret)': "secret",
    'log.exception("x %s", secret)': "secret",
    'events.info("x", key=secret)': "secret",
    "json.dumps({1: secret})": "secret",
    "pickle.dumps(secret)": "secret",
    "pickle.dumps([secret])": "secret",
    "copy.deepcopy(secret)": "secret",
    "copy.copy(secret)": "secret",
    "hash(secret)": "secret",
    "set([secret])": "secret",
    "secret == other": "operator",
    "secret != other": "operator",
    "secret == data": "operator",
    "data == secret": "secret",
    "data != keys.mac": "secret",
    "[secret].index(other)": "secret",
    "secret < other": "operator",
    "data + secret": "operator",
    'b"".join([secret])': "list-item",
    "bytes(secret)": "call-overload",
    "data.hex() + secret": "operator",
}
ALLOWED = [
    "repr(secret)",
    "secret.equals(other)",
    "secret.copy()",
    "len(secret)",
    "secret is other",
    "secret.wipe()",
    'log.info("wiped %s", secret.wiped)',
    'f"{len(secret)} bytes"',
    "print(data)",
    "data == data[:1]",
]
ERROR = re.compile(r":(\d+): error: .*\[([a-z-]+)\]$")


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Error code by line of the snippet."""
    folder = tmp_path_factory.mktemp("static")
    snippet = folder / "snippet.py"
    lines = [*REFUSED, *ALLOWED]
    snippet.write_text(PRELUDE + "".join(f"    {line}\n" for line in lines))
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", str(folder / "cache")]
    done = subprocess.run([*command, str(snippet)], cwd=ROOT, capture_output=True, text=True, check=False)
    found = {int(match[1]): match[2] for match in map(ERROR.search, done.stdout.splitlines()) if match}
    assert found, done.stdout + done.stderr
    first = PRELUDE.count("\n") + 1
    return {line - first: code for line, code in found.items()}


def test_what_must_be_refused_is(errors: dict[int, str]) -> None:
    assert {line: errors.get(index) for index, line in enumerate(REFUSED)} == REFUSED


def test_what_must_be_possible_is(errors: dict[int, str]) -> None:
    refused = {ALLOWED[index - len(REFUSED)]: code for index, code in errors.items() if index >= len(REFUSED)}
    assert refused == {}
