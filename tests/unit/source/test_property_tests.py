"""Property tests: their settings are said once."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

TESTS = Path(__file__).parents[2]


def test_no_example_has_a_deadline() -> None:
    assert settings().deadline is None


def test_no_test_says_it_again() -> None:
    others = [path for path in TESTS.rglob("*.py") if path not in {TESTS / "conftest.py", Path(__file__)}]
    assert len(others) > 100
    assert not [path.name for path in others if "import settings" in path.read_text() and "deadline=" in path.read_text()]
