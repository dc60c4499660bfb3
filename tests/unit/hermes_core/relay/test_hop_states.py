"""Every pair of state and input of a hop: what it becomes, or that it is a defect."""

from __future__ import annotations

import pytest

from hermes_core.relay.hop_states import TRANSITIONS, HopInput, HopState, IllegalInputError, next_state

PAIRS = [(state, given) for state in HopState for given in HopInput]


def test_every_state_says_one_thing() -> None:
    assert all(sum((state.ready, state.claimed, state.quarantined)) <= 1 for state in HopState)
    assert len({(state.ready, state.claimed, state.quarantined, state.onward) for state in HopState}) == len(HopState) == 8


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_pair(state: HopState, given: HopInput) -> None:
    """The rules in words, each against every pair; the table is written out and knows no rule."""
    illegal = (given is HopInput.RESUME and (state.ready or state.quarantined)) or (given is HopInput.CLAIM and state.ready)
    if illegal:
        with pytest.raises(IllegalInputError, match=f"{given.name} in {state.name}"):
            next_state(state, given)
        return
    after = next_state(state, given)
    assert after.ready == (
        given in {HopInput.RESUME, HopInput.NEW_EPOCH} or (state.ready and given not in {HopInput.LOSE, HopInput.QUARANTINE})
    )
    assert after.quarantined == (given is HopInput.QUARANTINE or (state.quarantined and given is not HopInput.NEW_EPOCH))
    assert after.claimed == (
        (given is HopInput.CLAIM and not state.quarantined)
        or (state.claimed and given in {HopInput.ONWARD_UP, HopInput.ONWARD_DOWN})
    )
    expected = {HopInput.ONWARD_UP: True, HopInput.ONWARD_DOWN: False, HopInput.LOSE: False}.get(given, state.onward)
    assert after.onward == expected


def test_every_state_is_reached() -> None:
    reached = {HopState.AWAY}
    while True:
        further = {after for (state, _), after in TRANSITIONS.items() if state in reached} | reached
        if further == reached:
            break
        reached = further
    assert reached == set(HopState)
    assert len(TRANSITIONS) == len(PAIRS) - 6
