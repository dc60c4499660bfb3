"""Each part of Hermes needs what its extra brings and no more: its modules are imported with every other dependency refused."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hermes_client.scenario.local_mesh import render_toml

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROGRAMS = ("node", "operator", "ctl")
OF_EXTRAS = {
    "client": ["hermes_core", "hermes_wire", "hermes_keystore", "hermes_proto", "hermes_client"],
    "node": ["hermes_node", "hermes_client.testing"],
    "operator": ["hermes_operator"],
    "ctl": ["hermes_ctl", "hermes_client.scenario"],
}
NOT_THE_CLIENTS = ["hermes_client.testing", "hermes_client.scenario", "hermes_wire.http_server"]
"""What of the client's packages needs nodes, or is the programs'."""

REFUSE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
"""
"""With None in the place of a module its import fails as if it were not there, and looking for it finds nothing."""
IMPORT_ALL = """
import importlib, pkgutil
without, count = sys.argv[3].split(","), 0
for package in sys.argv[2].split(","):
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), package + "."):
        if not found.name.endswith("__main__") and not any((found.name + ".").startswith(left + ".") for left in without):
            importlib.import_module(found.name)
            count += 1
print(count)
"""
START = """
import importlib
sys.exit(importlib.import_module(sys.argv[2]).main(sys.argv[3:]))
"""


def listed(part: str) -> list[Requirement]:
    """What an extra lists, those of extras that it names as well."""
    found = []
    for requirement in map(Requirement, PROJECT["optional-dependencies"][part]):
        if requirement.name == PROJECT["name"]:
            found += [other for extra in requirement.extras for other in listed(extra)]
        else:
            found.append(requirement)
    return found


@cache
def closure(part: str) -> frozenset[str]:
    """Every distribution that an install of the part brings, by its canonical name."""
    brought: set[str] = set()
    wanted = [*map(Requirement, PROJECT["dependencies"]), *listed(part)]
    while wanted:
        name = canonicalize_name(wanted.pop().name)
        if name in brought:
            continue
        brought.add(name)
        try:
            needs = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:  # of another platform, or another Python
            continue
        wanted += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return frozenset(brought)


def refused_modules(part: str) -> set[str]:
    """Top-level modules that only other distributions have."""
    brought = closure(part)
    return {
        module
        for module, owners in packages_distributions().items()
        if not any(canonicalize_name(owner) in brought | {PROJECT["name"]} for owner in owners)
        and not module.startswith("hermes_")
    }


def run(script: str, part: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program that has what the part's install brings alone."""
    command = [sys.executable, "-c", REFUSE + script, ",".join(refused_modules(part)), *arguments]
    environment = {"PYTHONPATH": ":".join(str(ROOT / folder) for folder in ("node", "client", "operator", "proto"))}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def import_all(part: str, packages: Sequence[str], without: Iterable[str]) -> subprocess.CompletedProcess[str]:
    return run(IMPORT_ALL, part, ",".join(packages), ",".join(without))


@pytest.mark.parametrize("part", OF_EXTRAS)
def test_a_part_imports_with_what_its_extra_brings(part: str) -> None:
    done = import_all(part, OF_EXTRAS[part], NOT_THE_CLIENTS if part == "client" else ["none"])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15


def test_the_client_alone_is_refused_what_the_programs_need() -> None:
    refused = refused_modules("client")
    assert refused >= {"kopf", "kubernetes", "aiohttp", "prometheus_client", "grpc_health", "rich", "yaml", "pytest"}
    assert not refused & {"grpc", "google", "nacl", "cryptography", "msgspec"}
    done = import_all("client", ["hermes_operator.kube"], ["none"])
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: ")


def test_the_client_has_no_more_than_five_dependencies() -> None:
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == {
        "cryptography",
        "grpcio",
        "msgspec",
        "protobuf",
        "pynacl",
    }
    assert PROJECT["optional-dependencies"]["client"] == []


def test_the_image_has_what_each_program_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if "needed.txt \\" in line and "python3 -c" in line
    ]
    program = line.split("python3 -c '")[1].split("' >")[0]
    monkeypatch.chdir(ROOT)
    exec(program, {})  # noqa: S102 - the image's own line
    needed = {Requirement(text).name for text in capsys.readouterr().out.split()}
    wanted = {Requirement(text).name for text in PROJECT["dependencies"]} | {
        each.name for part in PROGRAMS for each in listed(part)
    }
    assert needed == wanted


def test_the_mesh_for_tests_of_an_app_says_which_extra_it_needs() -> None:
    done = run("import hermes_client.testing", "client")
    said = r"ModuleNotFoundError: there is no module \S+: the client is here alone; pip install 'hermes-mesh\[node\]'"
    assert re.fullmatch(said, done.stderr.splitlines()[-1]), done.stderr
    assert done.stderr.count("Traceback") == 1


PROGRAMS_OF = {"ctl": ("hermes_ctl", 2), "node": ("hermes_node", 70), "operator": ("hermes_operator", 1)}


@pytest.mark.parametrize("extra", PROGRAMS_OF)
def test_a_program_without_its_extra_says_so_in_one_line(extra: str, tmp_path: Path) -> None:
    module, code = PROGRAMS_OF[extra]
    settings = {"node": {"id": "n", "data_dir": str(tmp_path)}, "app": {"listen": "127.0.0.1:0"}, "mesh": {"listen": ""}}
    (tmp_path / "node.toml").write_text(render_toml(settings))
    arguments = {"ctl": ["version"], "node": ["--config", str(tmp_path / "node.toml")], "operator": ["run"]}[extra]
    done = run(START, "client", f"{module}.cli", *arguments)
    (line,) = done.stderr.splitlines()
    said = rf"hermes\S+: there is no module \S+: the client is here alone; pip install 'hermes-mesh\[{extra}\]'"
    assert re.fullmatch(said, line), line
    assert done.returncode == code
