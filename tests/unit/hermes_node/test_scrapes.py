"""/metrics: as often as anybody asks it costs its share, and whoever asks gets what is at most a second old."""

from __future__ import annotations

import pytest

from hermes_node.admin.scrapes import BURST_MS, FRESH_S, MAX_KEPT, SHARE, Rendered, Scrapes

COST_S = 0.004
OPEN = "application/openmetrics-text; version=1.0.0"


class Renderer:
    """`spent_s`: what it cost so far; each body says when it was rendered."""

    def __init__(self) -> None:
        self.now = 100.0
        self.spent_s = 0.0
        self.scrapes = Scrapes(self._render, lambda: self.now)

    def _render(self, accept: str) -> Rendered:
        self.spent_s += COST_S
        self.now += COST_S
        return f"{self.now} {accept}".encode(), "open" if accept else "plain"

    def ask(self, accept: str = "") -> tuple[float, str]:
        """How old the answer is, and its format."""
        body, content_type = self.scrapes.answer(accept)
        return self.now - float(body.split()[0]), content_type

    def flood(self, seconds: float, *accepts: str, rate: int = 500) -> None:
        until = self.now + seconds
        count = 0
        while self.now < until:
            self.ask(accepts[count % len(accepts)] if accepts else f"{OPEN}; number={count}")
            count += 1
            self.now += 1 / rate


def test_who_asks_now_and_then_gets_what_is_now() -> None:
    renderer = Renderer()
    for accept in ("", OPEN) * 20:
        assert renderer.ask(accept) == (0.0, "open" if accept else "plain")
        renderer.now += 1.0


@pytest.mark.parametrize("accepts", [("",), (OPEN,), ("", OPEN), ()], ids=["plain", "open", "both", "always another"])
def test_who_asks_all_the_time_costs_a_share(accepts: tuple[str, ...]) -> None:
    renderer = Renderer()
    began = renderer.now
    renderer.flood(20, *accepts)
    owed = SHARE * (renderer.now - began) + BURST_MS / 1000
    assert renderer.spent_s < owed + (renderer.now - began) / FRESH_S * COST_S + COST_S


def test_beside_a_flood_of_other_formats_nothing_old_is_given() -> None:
    renderer = Renderer()
    for _ in range(50):
        renderer.flood(0.3)
        for accept in (OPEN, ""):
            assert renderer.ask(accept)[0] < FRESH_S


def test_what_is_kept_is_bounded() -> None:
    renderer = Renderer()
    renderer.flood(60)
    assert len(renderer.scrapes._kept) <= MAX_KEPT
