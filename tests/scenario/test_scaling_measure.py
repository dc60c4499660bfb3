"""The measuring behind docs/scaling.md, in small: real nodes, real apps, and a cost for each thing that was done."""

from __future__ import annotations

from benchmarks.scaling.measure import Sizes, measure


async def test_a_small_measurement_gives_costs() -> None:
    costs = await measure(Sizes(apps=4, chats=8, pairs=2, seconds=0.5, more_nodes=3, settle_s=0.2))
    assert costs.message_batched > 0
    assert costs.base_memory > 2**20
    assert costs.chat_disk >= 0
