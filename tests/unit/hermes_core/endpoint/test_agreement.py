"""How two apps agree on keys: every pair of state and step, and what each step does from each state."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from hermes_core.endpoint.agreement import (
    ACTIVE,
    STEPS,
    Accepted,
    Active,
    AgreementState,
    AgreementStep,
    Offered,
    Offering,
    Paused,
    RekeyWish,
    Starting,
    Wanted,
)
from hermes_core.endpoint.channels import ChannelPair, OfferedPair
from hermes_core.endpoint.events import ChatFailed
from hermes_core.endpoint.handshake import Handshake
from hermes_core.errors import ErrorCode
from hermes_core.ids import derive_app_id
from hermes_core.protocol.messages import Offer
from tests.unit.hermes_core.endpoint.parts import HOME, NOW, PEER_KEY, Notebook, make_context, make_offered_chat

STATES: tuple[type[AgreementState], ...] = (Starting, Offered, Accepted, Active, Wanted, Offering, Paused)
# Rows: states; columns: steps in the order of AgreementStep. "." means nothing and changes nothing.
EXPECTED = """
          ACCEPT    AGREE   WISH      OFFER     YIELD   PAUSE   DROP    RETRY
Starting  .         Active  .         .         .       .       .       .
Offered   Accepted  .       .         .         .       .       .       .
Accepted  .         Active  .         .         .       .       .       .
Active    .         Active  Wanted    .         .       .       .       .
Wanted    .         Active  Wanted    Offering  .       .       Active  .
Offering  .         Active  Offering  .         Wanted  Paused  Active  .
Paused    .         Active  Paused    Offering  .       .       Active  Wanted
"""


def test_the_table_is_what_the_test_draws() -> None:
    head, *rows = EXPECTED.strip("\n").splitlines()
    assert head.split() == [step.name for step in AgreementStep]
    assert [row.split()[0] for row in rows] == [state.__name__ for state in STATES]
    drawn = {
        (state, step): cell
        for state, row in zip(STATES, rows, strict=True)
        for step, cell in zip(AgreementStep, row.split()[1:], strict=True)
    }
    assert {pair: cell for pair, cell in drawn.items() if cell != "."} == {pair: to.__name__ for pair, to in STEPS.items()}


def test_keys_are_agreed_on_from_the_first_agreement_on() -> None:
    assert {state for state in STATES if (state, AgreementStep.WISH) in STEPS} == ACTIVE
    assert all(STEPS[pair] in ACTIVE for pair in STEPS if pair[0] in ACTIVE)


def make_handshake(state: AgreementState) -> tuple[Handshake, Notebook]:
    effects = Notebook()
    chat, _, _ = make_offered_chat()
    context = make_context(effects)
    peer = derive_app_id(PEER_KEY.public_key)
    channels = ChannelPair.begin(context, chat.chat_id, peer, HOME)
    if isinstance(state, Starting | Offering):
        channels.offer(NOW)
        effects.sends.clear()
    return Handshake(context, peer, channels, state), effects


def kept_offer() -> OfferedPair:
    state = make_offered_chat()[0].handshake.state
    assert isinstance(state, Offered)
    return state.offered


OWNER, NODE, NOBODY = RekeyWish.OWNER, RekeyWish.NODE, RekeyWish.NOBODY
ALL: tuple[AgreementState, ...] = (
    Starting(NOW),
    Offered(kept_offer(), NOW),
    Accepted(NOW),
    Active(),
    Offering(NOBODY, 7.0, NOW),
    *(state for wish in (OWNER, NODE) for state in (Wanted(wish, 7.0), Offering(wish, 7.0, NOW), Paused(wish, 7.0, NOW + 7.0))),
)
VERBS: dict[str, Callable[[Handshake], None]] = {
    "wish of the owner": lambda it: it.wish(OWNER),
    "wish of the node": lambda it: it.wish(NODE),
    "offer": lambda it: it.try_offer(NOW + 1),
    "interrupt": lambda it: it.interrupt(),
    "repeat later": lambda it: it.repeat_later(NOW + 1, 20.0),
    "fail": lambda it: it.fail(ErrorCode.AUTH_FAILED, "no", NOW + 1),
    "no route": lambda it: it.fail(ErrorCode.ROUTE_UNAVAILABLE, "no", NOW + 1),
    "end pause": lambda it: it.end_pause(),
    "withdraw": lambda it: it.withdraw(),
}
KeptChanges = dict[tuple[AgreementState, str], AgreementState]


def changes_whoever_wishes(wish: RekeyWish) -> KeptChanges:
    return {
        (Wanted(wish, 7.0), "offer"): Offering(wish, 7.0, NOW + 1),
        (Paused(wish, 7.0, NOW + 7.0), "offer"): Offering(wish, 7.0, NOW + 1),
        (Paused(wish, 7.0, NOW + 7.0), "end pause"): Wanted(wish, 7.0),
        (Offering(wish, 7.0, NOW), "interrupt"): Wanted(wish, 7.0),
        (Offering(wish, 7.0, NOW), "repeat later"): Paused(wish, 14.0, NOW + 21),
        (Offering(wish, 7.0, NOW), "no route"): Paused(wish, 14.0, NOW + 15),
    }


CHANGES: KeptChanges = {
    **changes_whoever_wishes(OWNER),
    **changes_whoever_wishes(NODE),
    (Active(), "wish of the owner"): Wanted(OWNER),
    (Active(), "wish of the node"): Wanted(NODE),
    (Wanted(OWNER, 7.0), "wish of the node"): Wanted(NODE, 7.0),
    (Offering(OWNER, 7.0, NOW), "wish of the node"): Offering(NODE, 7.0, NOW),
    (Paused(OWNER, 7.0, NOW + 7.0), "wish of the node"): Paused(NODE, 7.0, NOW + 7.0),
    (Offering(OWNER, 7.0, NOW), "fail"): Active(),
    (Offering(NODE, 7.0, NOW), "fail"): Paused(NODE, 14.0, NOW + 15),
    (Wanted(OWNER, 7.0), "withdraw"): Active(),
    (Paused(OWNER, 7.0, NOW + 7.0), "withdraw"): Active(),
    (Offering(OWNER, 7.0, NOW), "withdraw"): Offering(NOBODY, 7.0, NOW),
    (Offering(NOBODY, 7.0, NOW), "wish of the owner"): Offering(OWNER, 7.0, NOW),
    (Offering(NOBODY, 7.0, NOW), "wish of the node"): Offering(NODE, 7.0, NOW),
    **{(Offering(NOBODY, 7.0, NOW), verb): Active() for verb in ("interrupt", "repeat later", "fail", "no route")},
}
HEARD = {(Offering(OWNER, 7.0, NOW), "fail"), (Starting(NOW), "fail"), (Starting(NOW), "no route")}
"""What the owner is told of; the rest goes on by itself."""


@pytest.mark.parametrize(("state", "verb"), list(itertools.product(ALL, VERBS)), ids=lambda value: str(value)[:48])
def test_every_verb_in_every_state(state: AgreementState, verb: str) -> None:
    handshake, effects = make_handshake(state)
    VERBS[verb](handshake)
    assert handshake.state == CHANGES.get((state, verb), state)
    offered = verb == "offer" and (state, verb) in CHANGES
    assert [type(message) for message in effects.sends] == [Offer] * offered
    assert [type(event) for event in effects.events] == [ChatFailed] * ((state, verb) in HEARD)


def test_pauses_grow_up_to_a_bound() -> None:
    handshake, _ = make_handshake(Wanted(NODE))
    now, pauses = NOW, []
    for _ in range(7):
        handshake.try_offer(now)
        handshake.repeat_later(now)
        assert handshake.pause_due is not None
        pauses.append(handshake.pause_due - now)
        now = handshake.pause_due
    assert pauses == [5, 10, 20, 40, 60, 60, 60]
