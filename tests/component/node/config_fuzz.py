"""Random configurations around every bound, given to real node processes: `python -m tests.component.node.config_fuzz 200`.

A node either serves, or ends with exit code 78 and one line that names the setting, and has written nothing.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hermes_client.scenario.certificates import LocalAuthority
from hermes_core.bounds import Tunable, tunables_of
from hermes_node.config.sections import SECTIONS
from tests.support.nodes import DEADLINE_S

UNHEARD_S = 8.0
Settings = dict[str, dict[str, Any]]

NUMBERS = [(section, name, tunable) for section, kind in SECTIONS.items() for name, tunable in tunables_of(kind).items()]
FIELDS = {f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.__dataclass_fields__}
# A valid name that the certificate lacks, and a keystore that may not be made, are no errors of the configuration alone.
REFUSALS = {(78, "CONFIG_INVALID"), (81, "TLS_FILES"), (76, "KEYSTORE_MISSING")}
NO_NUMBERS = [
    (section, name) for section, kind in SECTIONS.items() for name in kind.__dataclass_fields__ if name not in tunables_of(kind)
]
ADDRESSES = ["127.0.0.1:0", "[::1]:0", "localhost:0", "", "x", ":", ":1", "h:", "h:65536", "h:1e3", "h:" + "0" * 5000, "::1:1"]
ADDRESSES += [
    "[x]:1",
    "[]:1",
    "1.2.3.999:0",
    "203.0.113.9:0",
    "a b:0",
    "a..b:0",
    "-a:0",
    f"{'a' * 64}:0",
    "\x00:1",
    "ü:0",
    "a\nb:1",
]
PATHS = ["", "/dev/null/x", "a\x00b", "a\nb", "x" * 5000, "x" * 245, "missing/x", "ü"]
WORDS = ["", "info", "loud", "x25519-sha512", "true", "yes", "maybe", "7", "{}", "'", '"']
ODD = [True, -1, 0, 1, 2**63, 10**30, 0.5, float("nan"), float("inf"), "7", "", "x", [], ["x"], {}]


def build_base(folder: Path) -> Settings:
    (folder / "passphrase").write_bytes(b"correct horse\n")
    (folder / "token").write_text("0123456789abcdef")
    files = LocalAuthority(folder).issue_node("solo")
    return {
        "node": {"id": "solo", "data_dir": str(folder / "data"), "ready_file": str(folder / "ready.json")},
        "app": {"listen": "127.0.0.1:0"},
        "mesh": {
            "listen": "127.0.0.1:0",
            "tls_cert": str(files.certificate),
            "tls_key": str(files.key),
            "tls_ca": str(folder / "ca.crt"),
        },
        "admin": {"listen": "127.0.0.1:0", "token_file": str(folder / "token")},
        "keystore": {"passphrase_file": str(folder / "passphrase"), "argon2_memory_kib": 8192, "argon2_time_cost": 1},
    }


def mutate(rng: random.Random, settings: Settings, environment: dict[str, str]) -> list[str]:
    """Change one to three settings, in the file or the environment; what was done, for the report."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        section, name, value = _draw(rng)
        if rng.random() < 0.3 and not isinstance(value, dict | list):
            environment[f"HERMES_{section}_{name}".upper()] = _as_text(value).replace("\x00", "")
        else:
            settings.setdefault(section, {})[name] = value
        done.append(f"{section}.{name} = {value!r:.80}")
    return done


def _draw(rng: random.Random) -> tuple[str, str, Any]:
    if rng.random() < 0.4:
        section, name, tunable = rng.choice(NUMBERS)
        return section, name, _draw_number(rng, tunable, costly=name.startswith("argon2"))
    section, name = rng.choice(NO_NUMBERS)
    return section, name, rng.choice(ODD) if rng.random() < 0.1 else rng.choice(_candidates(name))


def _candidates(name: str) -> list[Any]:
    """Right and wrong values of a setting that is no number."""
    if name in ("listen", "advertise"):
        return ADDRESSES
    if name == "seeds":
        return [*([address] for address in ADDRESSES), ["dns:no.such.invalid:1"], ["127.0.0.1:1"]]
    if name == "id":
        return ["", "Solo", "a" * 64, "-", "ü", "a.b", "solo"]
    if name == "data_dir":
        return [path for path in PATHS if not path.startswith("missing")]  # it would be made
    return [*PATHS, "/", *WORDS]


def _draw_number(rng: random.Random, tunable: Tunable, *, costly: bool) -> Any:
    if tunable.many:
        listed = rng.sample([*tunable.choices, *tunable.choices, *WORDS], rng.randrange(4))
        return rng.choice([list(tunable.default), listed])
    if tunable.choices:
        return rng.choice([*tunable.choices, *tunable.choices, *WORDS])
    if rng.random() < 0.1:
        return rng.choice(ODD)
    low, high = tunable.low, tunable.high
    assert low is not None
    assert high is not None
    step = 1 if tunable.type is int else min(1e-3, low / 2 or 1.0)
    inside = [low] if costly else [low, high, tunable.default, rng.uniform(low, high)]
    value = rng.choice([low - step, high + step, *inside, *inside])
    return tunable.type(value) if value in inside else value


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def render_toml(settings: Settings) -> str:
    return "\n".join(f"[{s}]\n" + "".join(f"{n} = {_toml(v)}\n" for n, v in values.items()) for s, values in settings.items())


def _toml(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    return "{}" if value == {} else json.dumps(value).replace("\x7f", "\\u007f")


def run_case(seed: int) -> str:
    """Run one node; "served" or "refused", AssertionError when it is neither."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="hermes-config-") as name:
        folder = Path(name)
        settings, environment = build_base(folder), dict[str, str]()
        done = mutate(rng, settings, environment)
        (folder / "node.toml").write_text(render_toml(settings))
        before = set(folder.rglob("*"))
        exit_code, said = _run_node(folder, environment)
        about = f"seed {seed}: {done}\nexit code {exit_code}\n{said}"
        if exit_code == 0:
            return "served"
        assert set(folder.rglob("*")) == before, about
        lines = [line for line in said.splitlines() if not line.startswith("{")]
        assert len(lines) == 1, about
        code, field = lines[0].removeprefix("hermes-node: ").split(": ")[:2]
        assert (exit_code, code) in REFUSALS, about
        assert exit_code != 78 or field.partition("[")[0] in FIELDS, about
        return "refused"


def _run_node(folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Until the node ends by itself, or serves and is ended; exit code and standard error."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
    with (folder.parent / f"{folder.name}.log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hermes_node.cli", "--config", str(folder / "node.toml")],
            stderr=log,
            cwd=folder,
            env=clean | environment,
        )
        try:
            deadline = time.monotonic() + UNHEARD_S
            while process.poll() is None and time.monotonic() < deadline and not _is_heard(folder, Path(log.name)):
                time.sleep(0.02)
            process.terminate()
            process.wait(DEADLINE_S)
            return process.returncode, Path(log.name).read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            Path(log.name).unlink()


def _is_heard(folder: Path, log: Path) -> bool:
    """Whether the node said that it serves. One that can say it nowhere is ended after a while, and has to end well."""
    return (folder / "ready.json").exists() or "node_serving" in log.read_text()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    outcomes = [run_case(seed) for seed in range(first, first + count)]
    print(f"{count} configurations: {outcomes.count('served')} served, {outcomes.count('refused')} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
