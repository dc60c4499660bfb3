"""The states of a hop as data: what each input does in each state (drawn in docs/reference/hop-states.md)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class HopState(Enum):
    """Where a hop stands on the stream to its neighbour, and whether the node behind it has a path onward to its app.

    Written as (ready, claimed, quarantined, onward); twelve other combinations of the four do not exist.
    """

    AWAY = (False, False, False, False)
    AWAY_ONWARD = (False, False, False, True)
    CLAIMED = (False, True, False, False)
    CLAIMED_ONWARD = (False, True, False, True)
    READY = (True, False, False, False)
    READY_ONWARD = (True, False, False, True)
    QUARANTINED = (False, False, True, False)
    QUARANTINED_ONWARD = (False, False, True, True)

    def __init__(self, ready: bool, claimed: bool, quarantined: bool, onward: bool) -> None:
        self.ready = ready
        """Resumed, or given keys, on this stream: frames may flow."""
        self.claimed = claimed
        """Our claims went out and no answer has come."""
        self.quarantined = quarantined
        """A rollback was seen: only new keys make this hop usable again."""
        self.onward = onward
        """What the node behind a tieline last said of its own onward path."""


class HopInput(Enum):
    """What can happen to a hop."""

    CLAIM = auto()
    """Our claims go out."""
    GIVE_UP_CLAIM = auto()
    """The answer is not waited for any longer."""
    RESUME = auto()
    """The neighbour's claims fit ours."""
    NEW_EPOCH = auto()
    """New keys were agreed on this stream: whatever was wrong with the old ones is over."""
    QUARANTINE = auto()
    """A store was rolled back."""
    LOSE = auto()
    """The stream is gone."""
    ONWARD_UP = auto()
    """The node behind a tieline can reach its app."""
    ONWARD_DOWN = auto()


class IllegalInputError(Exception):
    """A defect: this input must not reach a hop in this state."""


_S = HopState
_Row = tuple[HopState | None, ...]
_ROWS: Final[Mapping[HopState, _Row]] = {
    # In the order of HopInput:
    #  CLAIM                    GIVE_UP_CLAIM            RESUME             NEW_EPOCH
    #  QUARANTINE               LOSE                     ONWARD_UP          ONWARD_DOWN
    _S.AWAY: (
        _S.CLAIMED, _S.AWAY, _S.READY, _S.READY,
        _S.QUARANTINED, _S.AWAY, _S.AWAY_ONWARD, _S.AWAY,
    ),
    _S.AWAY_ONWARD: (
        _S.CLAIMED_ONWARD, _S.AWAY_ONWARD, _S.READY_ONWARD, _S.READY_ONWARD,
        _S.QUARANTINED_ONWARD, _S.AWAY, _S.AWAY_ONWARD, _S.AWAY,
    ),
    _S.CLAIMED: (
        _S.CLAIMED, _S.AWAY, _S.READY, _S.READY,
        _S.QUARANTINED, _S.AWAY, _S.CLAIMED_ONWARD, _S.CLAIMED,
    ),
    _S.CLAIMED_ONWARD: (
        _S.CLAIMED_ONWARD, _S.AWAY_ONWARD, _S.READY_ONWARD, _S.READY_ONWARD,
        _S.QUARANTINED_ONWARD, _S.AWAY, _S.CLAIMED_ONWARD, _S.CLAIMED,
    ),
    _S.READY: (
        None, _S.READY, None, _S.READY,
        _S.QUARANTINED, _S.AWAY, _S.READY_ONWARD, _S.READY,
    ),
    _S.READY_ONWARD: (
        None, _S.READY_ONWARD, None, _S.READY_ONWARD,
        _S.QUARANTINED_ONWARD, _S.AWAY, _S.READY_ONWARD, _S.READY,
    ),
    # A quarantined hop tells where it stands, so that its neighbour learns why, but waits for no answer.
    _S.QUARANTINED: (
        _S.QUARANTINED, _S.QUARANTINED, None, _S.READY,
        _S.QUARANTINED, _S.QUARANTINED, _S.QUARANTINED_ONWARD, _S.QUARANTINED,
    ),
    _S.QUARANTINED_ONWARD: (
        _S.QUARANTINED_ONWARD, _S.QUARANTINED_ONWARD, None, _S.READY_ONWARD,
        _S.QUARANTINED_ONWARD, _S.QUARANTINED, _S.QUARANTINED_ONWARD, _S.QUARANTINED,
    ),
}  # fmt: skip

TRANSITIONS: Final[Mapping[tuple[HopState, HopInput], HopState]] = {
    (state, given): after
    for state, row in _ROWS.items()
    for given, after in zip(HopInput, row, strict=True)
    if after is not None
}
"""Every legal pair. The others are told by IllegalInputError."""


def next_state(state: HopState, given: HopInput) -> HopState:
    """What `given` makes of `state`; IllegalInputError for a pair that is not in the table."""
    after = TRANSITIONS.get((state, given))
    if after is None:
        raise IllegalInputError(f"{given.name} in {state.name}")
    return after
