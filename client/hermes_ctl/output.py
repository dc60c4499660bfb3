"""The same rows as a table for people, or as JSON or YAML for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import yaml

FORMATS = ("table", "wide", "json", "yaml")


def add_output_option(parser: argparse.ArgumentParser, formats: Sequence[str] = FORMATS) -> None:
    parser.add_argument("-o", "--output", choices=formats, default=formats[0], help=f"one of {', '.join(formats)}")


def print_data(data: Any, output: str, stream: TextIO | None = None) -> None:
    """JSON or YAML of plain data."""
    stream = stream or sys.stdout
    if output == "json":
        stream.write(json.dumps(data, indent=2) + "\n")
    else:
        yaml.safe_dump(data, stream, sort_keys=False)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as kubectl prints them: capital headers, three spaces between, nothing cut."""
    table = [[name.upper() for name in header], *[[str(cell) or "-" for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
