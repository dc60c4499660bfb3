"""Behind one address with five nodes an app is back at its home within 1.5 s, whichever nodes it meets on the way."""

from __future__ import annotations

import pytest

from tests.scenario.one_address import measure, percentile

BAR_S = 1.5
ATTEMPTS = 3
BUSY_S = 0.15
"""A machine whose timers are so late does something else, and says nothing of the client."""

pytestmark = pytest.mark.timeout(400)


async def test_a_resume_behind_one_address_takes_less_than_the_bar() -> None:
    for _ in range(ATTEMPTS):
        found = await measure(nodes=5, pairs=6, rounds=8, kills=4)
        assert len(found.broken) == 48
        assert len(found.homes) >= 3, "the balancer spreads them"
        if found.late < BUSY_S or max(percentile(times, 0.99) for times in (found.broken, found.killed)) < BAR_S:
            break
    else:
        pytest.skip(f"the machine is too busy to measure anything: {found}")
    assert found.moved == 0, "their homes live: nobody gave one up"
    for times in (found.broken, found.killed):
        assert percentile(times, 0.99) < BAR_S, str(found)
