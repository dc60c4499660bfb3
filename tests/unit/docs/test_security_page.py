"""The security page claims nothing without naming what shows it, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "concepts" / "security.md").read_text()


def rows(title: str) -> list[list[str]]:
    """The cells of the table under this title, its head left out."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


ATTACKERS = rows("Who gets what")
PROMISES = rows("How each promise is held")


@pytest.mark.parametrize("row", ATTACKERS, ids=lambda row: row[0][:40])
def test_each_attacker_is_shown_by_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 3
    shown = re.findall(r"`([^`]+)`", row[2])
    assert shown
    for path in shown:
        assert (ROOT / "tests" / path).exists(), path


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0][:40])
def test_each_promise_is_held_by_files_that_exist(row: list[str]) -> None:
    assert len(row) == 3
    for path in re.findall(r"`((?:hermes_core|hermes_node|tests)/[^`:]+)", row[1] + row[2]):
        assert (ROOT / path).exists() or (ROOT / "node" / path).exists(), path


def test_there_is_something_to_hold() -> None:
    assert len(ATTACKERS) > 15
    assert len(PROMISES) > 5
