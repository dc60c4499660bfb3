"""Options that the demo, the scenario's own command line and `hermesctl check` share."""

from __future__ import annotations

import argparse
from pathlib import Path

from hermes_client.scenario.report import ScenarioReport, write_json, write_junit


def add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")


def write_reports(report: ScenarioReport, options: argparse.Namespace) -> None:
    if options.json is not None:
        write_json(report, options.json)
    if options.junit is not None:
        write_junit(report, options.junit)
