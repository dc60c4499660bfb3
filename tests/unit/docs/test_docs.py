"""Documents tell the truth: runbooks match alerts, links resolve, commands parse, metrics, events and fields exist."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from alerts.catalogue import ALERTS
from hermes_ctl.cli import build_parser as build_ctl_parser
from hermes_node import cli as node_cli
from hermes_node.logs.events import EVENTS
from hermes_node.metrics.registry import NodeMetrics
from hermes_operator.cli import build_parser as build_operator_parser
from hermes_operator.metrics import OperatorMetrics

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
RUNBOOKS = DOCS / "runbooks"
PAGES = sorted([ROOT / "README.md", ROOT / "AGENT.md", *DOCS.rglob("*.md")])
SECTIONS = ["Meaning", "Impact", "How to see", "How to mend", "How to make sure"]
PARSERS = {"hermesctl": build_ctl_parser(), "hermes-node": node_cli._build_parser(), "hermes-operator": build_operator_parser()}
SUFFIXES = re.compile(r"_(total|bucket|sum|count|created|info)$")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def _headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", _prose(page.read_text()), flags=re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _headings(page)}


def _broken_links(page: Path, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            yield target


def _cells(text: str, column: int) -> Iterator[str]:
    """One column of every table, without headings' rules."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if column < len(cells):
                yield cells[column]


def _code_lines(text: str) -> list[str]:
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()]


def _spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", _prose(text))


def _own_commands(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        if re.match(rf"({'|'.join(PARSERS)}) +\S", line) and "…" not in line and "COMMAND" not in line:
            yield shlex.split(line.removesuffix("&"), comments=True)


def _command_errors(text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Commands in code blocks must parse; a span in the prose may leave out what is required."""
    found = {shlex.join(words): _parse_error(words, capsys) for words in _own_commands(_code_lines(text))}
    found |= {shlex.join(words): _name_error(words) for words in _own_commands(_spans(text))}
    return {command: error for command, error in found.items() if error}


def _metric_names() -> set[str]:
    registries = (NodeMetrics(version="0").registry, OperatorMetrics().registry)
    names = {family.name for registry in registries for family in registry.collect()}
    return {SUFFIXES.sub("", name) for name in names}


def _parse_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Empty when the program's own parser takes the command."""
    try:
        PARSERS[words[0]].parse_args(words[1:])
    except SystemExit as end:
        said = capsys.readouterr().err.strip().splitlines()
        return said[-1] if end.code else ""
    return ""


def _name_error(words: list[str]) -> str:
    """Empty when the command, its subcommands and its options exist."""
    parser = PARSERS[words[0]]
    for word in words[1:]:
        nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if word.startswith("-"):
            if word.partition("=")[0] not in parser._option_string_actions:
                return f"no option {word}"
        elif nested:
            if word not in nested[0].choices:
                return f"no command {word}"
            parser = nested[0].choices[word]
    return ""


def test_each_alert_has_its_runbook_and_each_runbook_an_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("name", sorted({alert.name for alert in ALERTS}))
def test_a_runbook_has_its_sections_in_order(name: str) -> None:
    assert _headings(RUNBOOKS / f"{name}.md") == [name, *SECTIONS]


def test_the_rules_link_to_these_runbooks() -> None:
    rules = yaml.safe_load((ROOT / "alerts" / "hermes.rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for rule in alerts:
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


def test_the_index_of_runbooks_has_each_alert_with_its_severities() -> None:
    text = (RUNBOOKS / "README.md").read_text()
    index = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| ([\w, ]+) \|", text, flags=re.MULTILINE))
    wanted: dict[str, set[str]] = {}
    for alert in ALERTS:
        wanted.setdefault(alert.name, set()).add(alert.severity.value)
    assert {name: set(cell.split(", ")) for name, cell in index.items()} == wanted


def test_observability_names_every_alert() -> None:
    text = (DOCS / "observability.md").read_text()
    assert [alert.name for alert in ALERTS if not re.search(rf"\b{alert.name}\b", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_resolve(page: Path) -> None:
    assert list(_broken_links(page, page.read_text())) == []


def test_a_broken_link_is_seen() -> None:
    text = "[a](nowhere.md) [b](README.md#no-such-heading) [c](README.md#see-it-work) [d](https://example.org/x)"
    assert list(_broken_links(ROOT / "README.md", text)) == ["nowhere.md", "README.md#no-such-heading"]


def test_each_path_in_the_tables_of_the_architecture_exists() -> None:
    paths = [path for cell in _cells((DOCS / "architecture.md").read_text(), 1) for path in re.findall(r"`([^`]+)`", cell)]
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_architecture_names_every_package() -> None:
    text = (DOCS / "architecture.md").read_text()
    packages = [path.parent for source in ("node", "client", "operator") for path in (ROOT / source).glob("*/__init__.py")]
    assert [_name(path) for path in packages if f"`{_name(path)}`" not in text] == []


def _sources() -> Iterable[Path]:
    return [path for source in ("node", "client", "operator") for path in sorted((ROOT / source).rglob("*.py"))]


def test_each_source_file_starts_with_a_docstring() -> None:
    bare = [path for path in _sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert [_name(path) for path in bare] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z0-9-]+):", makefile, flags=re.MULTILINE))
    text = page.read_text()
    lines = [line for line in _spans(text) + _code_lines(text) if line.startswith("make ")]
    targets = {word for line in lines for word in line.split()[1:] if "=" not in word}
    assert targets - known == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_of_ours_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _command_errors(page.read_text(), capsys) == {}


def test_a_wrong_command_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    block = "```\nhermesctl status --nonsense\nhermesctl node\nhermesctl status demo # fine\n```\n"
    prose = "`hermesctl frobnicate demo`, `hermesctl node --nonsense`, but `hermesctl node -o json` and `kubectl get hm`"
    wrong = ["hermesctl status --nonsense", "hermesctl node", "hermesctl frobnicate demo", "hermesctl node --nonsense"]
    assert list(_command_errors(block + prose, capsys)) == wrong


@pytest.mark.parametrize("page", [*sorted(RUNBOOKS.glob("*.md")), DOCS / "observability.md"], ids=_name)
def test_metrics_that_are_named_exist(page: Path) -> None:
    text = re.sub(r"[\w/]*/hermes_\w+|\w+:hermes_\w+:?\w*|hermes_(node|operator|core)\b(?!_)", "", page.read_text())
    named = {SUFFIXES.sub("", name) for name in re.findall(r"\bhermes_[a-z_]+\b", text)}
    assert named - _metric_names() == set()


def test_recorded_series_that_are_named_exist() -> None:
    rules = yaml.safe_load((ROOT / "alerts" / "hermes.rules.yaml").read_text())
    known = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    named = {name for page in RUNBOOKS.glob("*.md") for name in re.findall(r"\bnamespace_mesh:[\w:]+", page.read_text())}
    assert named
    assert named - known == set()


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=_name)
def test_queries_in_runbooks_parse(page: Path) -> None:
    for block in re.findall(r"^```promql\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE):
        for query in block.splitlines():
            promql_parser.parse(query)


@cache
def _mesh_schema() -> Any:
    crd = yaml.safe_load((ROOT / "crds" / "hermesmeshes.hermesmesh.io.yaml").read_text())
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _has_field(schema: Any, path: list[str]) -> bool:
    """Whether a dotted path leads to a field; below a free-form object everything is allowed."""
    for step in path:
        if schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema:
            return True
        if step not in schema.get("properties", {}):
            return False
        schema = schema["properties"][step]
    return True


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_fields_of_a_mesh_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`((?:spec|status)\.[A-Za-z0-9.]+)[`:]", page.read_text()))
    assert [path for path in sorted(named) if not _has_field(_mesh_schema(), path.split("."))] == []


def test_log_events_that_are_named_exist() -> None:
    text = (DOCS / "observability.md").read_text()
    table = text[text.index("| to find | events |") :].split("\n\n")[0]
    named = {word for cell in _cells(table, 1) for word in re.findall(r"`([a-z_]+)`", cell)} - {"kind", "code", "reason"}
    assert len(named) > 20
    assert named - set(EVENTS) == set()


def test_what_runbooks_grep_for_in_a_nodes_log_is_an_event_or_a_code() -> None:
    unknown = set()
    for page in RUNBOOKS.glob("*.md"):
        for line in page.read_text().splitlines():
            if "logs $" in line and "| grep " in line:
                pattern = re.sub(r"^-E ", "", line.partition("| grep ")[2]).split("`")[0].strip("'")
                unknown |= {word for word in pattern.split("|") if word.islower() and word not in EVENTS}
    assert unknown == set()
