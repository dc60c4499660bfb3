"""The bench runner's judgement: more is better, or less, as the figure's goals say; the page shows what was measured."""

from __future__ import annotations

import pytest

from benchmarks.measure import build_cost_figure, build_speed_figure, interleave
from benchmarks.report import format_rows, judge, render_page

SAMPLES = {"ours": [2.0, 1.0, 3.0], "theirs": [8.0, 4.0, 5.0]}


@pytest.mark.parametrize(
    ("must", "aim", "verdict"),
    [(1.2, 2, "pass, aim reached"), (2.5, 3, "pass"), (2.6, 3, "SHORT"), (2.5, 2.5, "pass, aim reached")],
)
def test_times_as_fast(must: float, aim: float, verdict: str) -> None:
    figure = build_speed_figure("1", "speed", SAMPLES, "ours", "theirs", must=must, aim=aim)
    assert (figure["ratio"], figure["ratio_of_minima"]) == (2.5, 4.0)
    assert judge(figure) == verdict


@pytest.mark.parametrize(("must", "aim", "verdict"), [(2, 1.5, "pass, aim reached"), (0.4, 0.3, "pass"), (0.39, 0.3, "SHORT")])
def test_times_the_cost(must: float, aim: float, verdict: str) -> None:
    figure = build_cost_figure("2", "cost", SAMPLES, "ours", "theirs", must=must, aim=aim)
    assert figure["ratio"] == pytest.approx(0.4)
    assert judge(figure) == verdict


def test_the_page_shows_ratios_samples_and_failures() -> None:
    figure = build_speed_figure("10a", "speed", SAMPLES, "ours", "theirs", must=9, aim=10)
    page = render_page([figure], {"python": "3"}, ["bench_broken"])
    assert "| 10a | speed | 2.50 | 4.00 | 9 | 10 | SHORT |" in page
    assert "| 10a | theirs | 4 | 5 | 3 |" in page
    assert "| | bench_broken | | | | | FAILED |" in page
    assert "SHORT" in format_rows([figure])[0]


def test_candidates_take_turns() -> None:
    order: list[str] = []
    samples = interleave({"a": lambda _: order.append("a"), "b": lambda _: order.append("b")}, operations=10, rounds=3)
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 3, "b": 3}
