"""One script over real grpc.aio and over simulated streams: both ends must see the same, and what is written here."""

from __future__ import annotations

import pytest

from tests.component.simulation import cases_cancel, cases_ends, cases_flow, cases_loss
from tests.component.simulation.contract import CASES, Case
from tests.component.simulation.worlds import run_real, run_simulated

SEEDS = range(5)
MODULES = (cases_ends, cases_cancel, cases_flow, cases_loss)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_real_and_simulated_streams_behave_alike(case: Case) -> None:
    real = run_real(case.script)
    assert real == case.expected
    for seed in SEEDS:
        assert run_simulated(case.script, seed) == real
