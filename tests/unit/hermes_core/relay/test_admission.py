"""Which budget of an app refused it is counted by the owner of the budgets, whatever code the app hears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId
from hermes_core.relay.admission import STEP_BURST, Admission, AppBudget
from hermes_core.relay.cure_line import Requester
from hermes_core.relay.params import ChatParams
from hermes_core.relay.rows import ChatIndex

APP: Final[Requester] = (None, AppId("a" * 32))
MOST: Final = 100_000


def resume(admission: Admission) -> None:
    admission.check_steps(APP, 0.0)
    admission.charge_steps(APP, 2 * STEP_BURST, 0.0)


CHARGES: Final[dict[AppBudget, Callable[[Admission], None]]] = {
    AppBudget.HANDSHAKES: lambda admission: admission.charge_handshake(APP, 0.0),
    AppBudget.MOVES: lambda admission: admission.charge_move(APP, 0.0),
    AppBudget.REKEYS: lambda admission: admission.charge_rekey(APP, 0.0),
    AppBudget.LOOK_UPS: lambda admission: admission.charge_lookup(APP, 0.0),
    AppBudget.UNKNOWN_TARGETS: lambda admission: admission.charge_stranger(APP, 0.0),
    AppBudget.RESUME_STEPS: resume,
}


@pytest.mark.parametrize("budget", AppBudget)
def test_a_budget_that_is_used_up_counts_each_refusal_as_its_own(budget: AppBudget) -> None:
    admission = Admission(ChatParams(), ChatIndex())
    refused = 0
    for _ in range(MOST):
        try:
            CHARGES[budget](admission)
        except ProtocolError:
            refused += 1
            if refused == 3:
                break
    assert admission.refused == {budget: 3}
