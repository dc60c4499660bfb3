"""The app's end of a leg: every pair of state and input, and who hears of the path."""

from __future__ import annotations

import itertools

import pytest

from hermes_core.endpoint.events import PathChanged
from hermes_core.endpoint.hop import HOP_TABLE, Hop, HopInput, HopState
from tests.unit.hermes_core.endpoint.parts import make_chat

# Rows: states; columns: inputs in the order of HopInput. "." means nothing and changes nothing.
EXPECTED = """
             CLAIM    RESUME  RENEW  REACHED  PATH_UP  PATH_DOWN  ROLLBACK     LOSE  MOVE
NEW          .        .       READY  .        .        .          QUARANTINED  AWAY  NEW
AWAY         CLAIMED  .       .      .        .        .          .            .     NEW
CLAIMED      CLAIMED  READY   READY  .        .        .          QUARANTINED  AWAY  NEW
READY        .        .       READY  OPEN     OPEN     .          QUARANTINED  AWAY  NEW
OPEN         .        .       OPEN   OPEN     OPEN     READY      QUARANTINED  AWAY  NEW
QUARANTINED  .        .       READY  .        .        .          QUARANTINED  AWAY  NEW
"""
WAY: dict[HopState, tuple[HopInput, ...]] = {
    HopState.NEW: (),
    HopState.AWAY: (HopInput.LOSE,),
    HopState.CLAIMED: (HopInput.LOSE, HopInput.CLAIM),
    HopState.READY: (HopInput.RENEW,),
    HopState.OPEN: (HopInput.RENEW, HopInput.PATH_UP),
    HopState.QUARANTINED: (HopInput.RENEW, HopInput.ROLLBACK),
}


def parse_expected() -> dict[tuple[HopState, HopInput], HopState | None]:
    head, *rows = EXPECTED.strip("\n").splitlines()
    inputs = [HopInput[name] for name in head.split()]
    assert inputs == list(HopInput)
    cells = {}
    for row in rows:
        name, *targets = row.split()
        for happened, target in zip(inputs, targets, strict=True):
            cells[HopState[name], happened] = None if target == "." else HopState[target]
    return cells


PAIRS = list(itertools.product(HopState, HopInput))


def test_the_table_is_what_the_test_draws() -> None:
    expected = parse_expected()
    assert set(expected) == set(PAIRS)
    assert {pair: target for pair, target in expected.items() if target is not None} == HOP_TABLE


@pytest.mark.parametrize(("state", "happened"), PAIRS, ids=lambda value: value.name)
def test_every_pair(state: HopState, happened: HopInput) -> None:
    chat, effects = make_chat()
    hop: Hop = chat.hop
    for step in WAY[state]:
        assert hop.apply(step)
    assert hop.state is state
    effects.events.clear()

    target = parse_expected()[state, happened]
    assert hop.apply(happened) is (target is not None)
    assert hop.state is (target or state)
    was_open, is_open = state is HopState.OPEN, hop.state is HopState.OPEN
    assert effects.events == ([PathChanged(chat.chat_id, up=is_open)] if was_open != is_open else [])
