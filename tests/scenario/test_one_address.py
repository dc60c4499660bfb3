"""Behind one address with five nodes an app is back at its home within 1.5 s, whichever nodes it meets on the way."""

from __future__ import annotations

import pytest

from tests.scenario.one_address import measure, percentile

BAR_S = 1.5

pytestmark = pytest.mark.timeout(240)


async def test_a_resume_behind_one_address_takes_less_than_the_bar() -> None:
    found = await measure(nodes=5, pairs=6, rounds=8, kills=4)
    assert len(found.broken) == 48
    assert len(found.homes) >= 3, "the balancer spreads them"
    assert found.moved == 0, "their homes live: nobody gave one up"
    for times in (found.broken, found.killed):
        assert percentile(times, 0.99) < BAR_S, str(found)
