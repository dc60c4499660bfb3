"""Break each alert rule in many small ways and see whether its unit tests notice: `python -m tools.mutate_alerts [ALERT…]`.

A change that no test notices is a promise that no test holds.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import promql_parser

from alerts.cases import Case
from alerts.catalogue import ALERTS, RECORDINGS
from alerts.model import Alert, Rule
from tools.generate_alerts import CASES, promtool_document
from tools.yaml_text import dump_yaml

_COMPARISON = re.compile(r'(?<![\w.:"=!~])(>=|<=|==|>|<)(\s*)(\d+(?:\.\d+)?)')
_FLIPPED = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!="}
_SET_OPERATORS = {"and", "or", "unless"}
TOO_LONG = "15h"
WORKERS = 2
SHORT_MINUTES = 120
"""Tests of a longer time are run one by one, and only when the short ones noticed nothing."""


@dataclass(frozen=True)
class Mutant:
    alert: Alert
    change: str
    rule: Rule


def build_mutants(alert: Alert) -> Iterator[Mutant]:
    """Every small change of one rule."""
    rule = alert.rule()
    for change, fields in _field_changes(rule):
        mutated = copy.deepcopy(rule) | fields
        yield Mutant(alert, change, {key: value for key, value in mutated.items() if value is not None})
    for change, expr in [*_number_changes(rule["expr"]), *_clause_changes(rule["expr"])]:
        yield Mutant(alert, change, copy.deepcopy(rule) | {"expr": expr})


def _field_changes(rule: Rule) -> Iterator[tuple[str, Rule]]:
    yield "never true", {"expr": f"({rule['expr']}) and on() vector(0) > 1"}
    if "for" in rule:
        yield "no for", {"for": None}
        yield f"for {TOO_LONG}", {"for": TOO_LONG}
    else:
        yield "for 2h", {"for": "2h"}
    if "keep_firing_for" in rule:
        yield "no keep_firing_for", {"keep_firing_for": None}
        yield f"keep_firing_for {TOO_LONG}", {"keep_firing_for": TOO_LONG}
    yield "severity info", {"labels": rule["labels"] | {"severity": "info"}}
    for note in ("description", "runbook_url", "dashboard_url"):
        yield f"other {note}", {"annotations": rule["annotations"] | {note: "x"}}


def _number_changes(expr: str) -> Iterator[tuple[str, str]]:
    """Each comparison with a number: four times as much, a quarter, turned round."""
    for match in _COMPARISON.finditer(expr):
        operator, number = match.group(1), float(match.group(3))
        for change, other in (("x4", number * 4 or 1e9), ("/4", number / 4 or -1.0)):
            yield f"{match.group()} {change}", expr[: match.start(3)] + repr(other) + expr[match.end(3) :]
        yield f"{match.group()} flipped", expr[: match.start(1)] + _FLIPPED[operator] + expr[match.end(1) :]


def _clause_changes(expr: str) -> Iterator[tuple[str, str]]:
    """Each `and`, `or`, `unless` with only one of its sides."""
    whole = promql_parser.parse(expr)
    text = str(whole)
    found: list[promql_parser.BinaryExpr] = []
    _collect_set_operations(whole, found)
    for node in found:
        for side in (node.lhs, node.rhs):
            yield f"only `{str(side)[:60]}` of `{node.op}`", text.replace(str(node), str(side), 1)


def _collect_set_operations(node: promql_parser.Expr, found: list[promql_parser.BinaryExpr]) -> None:
    if isinstance(node, promql_parser.ParenExpr | promql_parser.AggregateExpr):
        _collect_set_operations(node.expr, found)
    elif isinstance(node, promql_parser.BinaryExpr):
        if str(node.op) in _SET_OPERATORS:
            found.append(node)
        _collect_set_operations(node.lhs, found)
        _collect_set_operations(node.rhs, found)


def is_noticed(mutant: Mutant, promtool: str) -> bool:
    """Whether any unit test of the alert fails with this rule in place of the right one."""
    cases = sorted((case for case in CASES if case.alert == mutant.alert.name), key=lambda case: case.minutes)
    short = tuple(case for case in cases if case.minutes <= SHORT_MINUTES)
    rest = tuple(case for case in cases if case.minutes > SHORT_MINUTES)
    return _fails(mutant, short, promtool) or any(_fails(mutant, (case,), promtool) for case in rest)


def _fails(mutant: Mutant, cases: tuple[Case, ...], promtool: str) -> bool:
    siblings = [alert.rule() for alert in ALERTS if alert.name == mutant.alert.name and alert != mutant.alert]
    groups = [
        {"name": "hermes.recording", "rules": [recording.rule() for recording in RECORDINGS]},
        {"name": "hermes.alerts", "rules": [mutant.rule, *siblings]},
    ]
    with tempfile.TemporaryDirectory() as folder:
        rules, tests = Path(folder) / "rules.yaml", Path(folder) / "tests.yaml"
        rules.write_text(dump_yaml({"groups": _needed(groups, mutant.alert.name)}))
        tests.write_text(dump_yaml(promtool_document(cases, rules.name)))
        done = subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode != 0


def _needed(groups: list[Rule], name: str) -> list[Rule]:
    """Recording rules are most of the work; keep only those that the alert reads."""
    expressions = " ".join(alert.rule()["expr"] for alert in ALERTS if alert.name == name)
    kept = [rule for rule in groups[0]["rules"] if rule["record"] in expressions]
    return [{"name": "hermes.recording", "rules": kept}, groups[1]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutate_alerts", description=__doc__)
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help="only these (all when absent)")
    given = parser.parse_args(arguments)
    promtool = shutil.which("promtool")
    if promtool is None:
        sys.stderr.write("promtool is missing; install it: apt-get install prometheus\n")
        return 1
    mutants = [mutant for alert in ALERTS if not given.alerts or alert.name in given.alerts for mutant in build_mutants(alert)]
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        noticed = list(pool.map(lambda mutant: is_noticed(mutant, promtool), mutants))
    for mutant, seen in zip(mutants, noticed, strict=True):
        if not seen:
            sys.stdout.write(f"not noticed: {mutant.alert.key}: {mutant.change}\n")
    sys.stdout.write(f"{sum(noticed)} of {len(mutants)} changes of alert rules are noticed by their unit tests\n")
    return 0 if all(noticed) else 1


if __name__ == "__main__":
    sys.exit(main())
